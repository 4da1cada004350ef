#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ovscope::fuzzing::ovs_text(bytes);
});
