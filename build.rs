//! Compiles bpf/*.bpf.c into skeletons (with clang, by libbpf-cargo), the recording's schema into Rust types, and what
//! loads libpcap.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};
use prost_types::{
    FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

fn main() -> Result<()> {
    skeletons()?;
    schema()?;
    libpcap();
    Ok(())
}

/// `bpf/NAME.bpf.c` becomes `$OUT_DIR/NAME.bpf.o`, and the one with the maps `$OUT_DIR/ovscope.skel.rs` as well.
fn skeletons() -> Result<()> {
    println!("cargo:rerun-if-changed=bpf");
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is set by cargo")?);
    // The objects name the lines of their sources: from here on, wherever that is on the machine that builds.
    let here = format!("-fdebug-prefix-map={}=.", env::current_dir().context("the folder of the sources")?.display());
    for entry in fs::read_dir("bpf").context("reading the folder bpf")? {
        let source = entry?.path();
        let Some(name) = source.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".bpf.c")) else {
            continue;
        };
        let mut builder = libbpf_cargo::SkeletonBuilder::new();
        builder.source(&source).obj(out.join(format!("{name}.bpf.o"))).clang_args([
            "-Ibpf",
            "-mcpu=v3",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-parameter",
            &here,
        ]);
        let built = if name == "ovscope" {
            builder.build_and_generate(out.join("ovscope.skel.rs"))
        } else {
            builder.build().map(drop)
        };
        built.with_context(|| format!("compiling {} (clang is needed: apt install clang)", source.display()))?;
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
    prost_build::Config::new().compile_fds(columns(descriptors.clone()))?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}

/// `$OUT_DIR/libpcap.a` is linked in libpcap's place, whose symbols the pcap crate asks for.
fn libpcap() {
    println!("cargo:rerun-if-changed=src/filter/libpcap.c");
    cc::Build::new().file("src/filter/libpcap.c").std("c11").warnings(true).extra_warnings(true).compile("pcap");
}

/// Columns that nearly every event has a number in: all of these messages', and some of `Events`.
const QUICK: [&str; 4] = ["DevSteps", "FlowLookups", "ActionExecutes", "Runs"];
const QUICK_OF_EVENTS: [&str; 5] = ["ts", "cpu", "task", "packet", "upcall"];

/// The same schema for the writer: a packed column of varints is, on the wire, bytes. The writer's types, in
/// `$OUT_DIR/ovscope.columns.rs`, have bytes there, which it fills as the events come: the numbers are neither kept
/// nor gone over again.
fn columns(mut descriptors: FileDescriptorSet) -> FileDescriptorSet {
    for file in &mut descriptors.file {
        file.package = Some("ovscope.columns".to_owned());
        for message in &mut file.message_type {
            let of_events = message.name() == "Events";
            let all = QUICK.contains(&message.name());
            for field in &mut message.field {
                field.type_name =
                    field.type_name().strip_prefix(".ovscope.recording.").map(|n| format!(".ovscope.columns.{n}"));
                let varint = matches!(field.r#type(), Type::Uint32 | Type::Uint64 | Type::Sint32 | Type::Sint64);
                let quick = all || (of_events && QUICK_OF_EVENTS.contains(&field.name()));
                if quick && varint && field.label() == Label::Repeated {
                    field.set_type(Type::Bytes);
                    field.set_label(Label::Optional);
                }
            }
        }
    }
    descriptors
}
