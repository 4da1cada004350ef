//! Compiles bpf/*.bpf.c into skeletons (with clang, by libbpf-cargo), the recording's schema into Rust types, and what
//! loads libpcap.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    skeletons()?;
    schema()?;
    libpcap();
    Ok(())
}

/// `bpf/NAME.bpf.c` becomes `$OUT_DIR/NAME.skel.rs`.
fn skeletons() -> Result<()> {
    println!("cargo:rerun-if-changed=bpf");
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is set by cargo")?);
    for entry in fs::read_dir("bpf").context("reading the folder bpf")? {
        let source = entry?.path();
        let Some(name) = source.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".bpf.c")) else {
            continue;
        };
        libbpf_cargo::SkeletonBuilder::new()
            .source(&source)
            .obj(out.join(format!("{name}.bpf.o")))
            .clang_args(["-mcpu=v3", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"])
            .build_and_generate(out.join(format!("{name}.skel.rs")))
            .with_context(|| format!("compiling {} (clang is needed: apt install clang)", source.display()))?;
    }
    Ok(())
}

/// The recording's schema becomes `$OUT_DIR/ovscope.recording.rs`, and its descriptor, which every recording carries,
/// `$OUT_DIR/recording.fds`. Compiled by protox: no protoc is needed.
fn schema() -> Result<()> {
    println!("cargo:rerun-if-changed=src/record/recording.proto");
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is set by cargo")?);
    let descriptors =
        protox::compile(["src/record/recording.proto"], ["src/record"]).context("the recording's schema")?;
    fs::write(out.join("recording.fds"), prost::Message::encode_to_vec(&descriptors))?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}

/// `$OUT_DIR/libpcap.a` is linked in libpcap's place, whose symbols the pcap crate asks for.
fn libpcap() {
    println!("cargo:rerun-if-changed=src/filter/libpcap.c");
    cc::Build::new().file("src/filter/libpcap.c").std("c11").warnings(true).extra_warnings(true).compile("pcap");
}
