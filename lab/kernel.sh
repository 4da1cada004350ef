# A guest kernel from Debian's cloud packages: its image, a disk of its modules, and an initrd.
# shellcheck shell=bash

kernel_suite() {
    case $1 in
    6.1) echo bookworm ;;
    6.12) echo trixie ;;
    7.3) echo trixie-backports ;;
    esac
}

# The packages behind the metapackage that hold the kernel: newer ones keep the image and the
# modules apart, older ones in a single package.
kernel_packages() {
    local suite=$1 todo=(linux-image-cloud-amd64) seen=" " name dep
    while ((${#todo[@]})); do
        name=${todo[0]}
        todo=("${todo[@]:1}")
        [[ $seen == *" $name "* ]] && continue
        seen+="$name "
        [[ $name =~ -[0-9] ]] && printf '%s\n' "$name"
        while read -r dep; do
            [[ $dep =~ ^linux-(image|binary|modules|base)- ]] && todo+=("$dep")
        done < <(suite_apt "$suite" apt-cache depends --important "$name" | awk '$1 ~ /Depends:/ {print $2}')
    done
}

make_kernel() {
    local v=$1 suite work tree packages release modules
    suite=$(kernel_suite "$v")
    work=$LAB_DIR/tmp/kernel-$v
    tree=$work/tree
    mkdir -p "$work/deb" "$tree"
    suite_update "$suite"
    mapfile -t packages < <(kernel_packages "$suite")
    echo "packages: ${packages[*]}"
    (cd "$work/deb" && suite_apt "$suite" apt-get download "${packages[@]}")
    for deb in "$work"/deb/*.deb; do dpkg-deb -x "$deb" "$tree"; done

    modules=$(find "$tree" -type d -path '*lib/modules/*' -name kernel | head -n 1)
    release=$(basename "$(dirname "$modules")")
    # In /boot with its release, or since 7.3 beside the modules.
    find "$tree" -name 'vmlinuz*' -size +1M -exec mv {} "$work/vmlinuz" \;
    mkdir -p "$work/modules/lib/modules"
    mv "$(dirname "$modules")" "$work/modules/lib/modules/$release"
    # Unpacked here once, so that the emulated processor does not do it on each boot.
    find "$work/modules" -name '*.ko.xz' -print0 | xargs -0 -r -n 32 -P 2 xz -d
    find "$work/modules" -name '*.ko.zst' -print0 | xargs -0 -r -n 32 -P 2 zstd -q -d --rm
    depmod -b "$work/modules" "$release"
    disk_of "$work/modules/lib/modules" "$work/modules.img" 8

    pack_initrd "$work/modules/lib/modules/$release" "$work/initrd"
    mv "$work/modules.img" "$LAB_DIR/img/modules-$v.img"
    mv "$work/initrd" "$LAB_DIR/img/initrd-$v"
    mv "$work/vmlinuz" "$LAB_DIR/img/vmlinuz-$v"
    rm -rf "$work"
}

# The initrd finds the root disk and no more. Which of these a kernel has as modules differs;
# the order is that of their needs.
LAB_BOOT_MODULES=(virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk)

pack_initrd() {
    local modules=$1 out=$2 dir n=0 name file applet
    dir=$(mktemp -d "$LAB_DIR/tmp/initrd.XXXXXX")
    mkdir -p "$dir"/{bin,dev,root,modules}
    cp "$LAB_DIR/img/busybox" "$dir/bin/busybox"
    for applet in sh mount mkdir insmod tar sleep switch_root; do ln -s busybox "$dir/bin/$applet"; done
    for name in "${LAB_BOOT_MODULES[@]}"; do
        file=$(find "$modules" -name "$name.ko" | head -n 1)
        [[ -n $file ]] && cp "$file" "$dir/modules/$((n += 1))-$name.ko"
    done
    cp "$LAB_SRC/guest/initrd-init" "$dir/init"
    chmod 755 "$dir/init"
    (cd "$dir" && find . | cpio -o -H newc --quiet) | gzip -1 >"$out"
    rm -rf "$dir"
}
