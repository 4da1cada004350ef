//! Reports what [`ovscope::app`] says.

fn main() {}
