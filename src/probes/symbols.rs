//! Names of places in the kernel's code, from /proc/kallsyms.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{Read as _, Seek as _},
};

/// The most places whose names are kept.
const KNOWN_MAX: usize = 4096;

/// Reads the symbols when the first name is asked for, and again when modules have come or gone.
#[derive(Debug)]
pub struct Symbols {
    /// /proc/kallsyms: what its reader may see was decided when it was opened, before privileges were given up.
    file: Option<File>,
    /// Functions by address, rising: where the name begins in `text`, and its length.
    functions: Vec<(u64, u32, u32)>,
    /// `name` or `name [module]` of all functions, one behind the other.
    text: String,
    /// /proc/modules when they were read.
    modules: Option<String>,
    known: HashMap<u64, String>,
    readings: u64,
}

impl Default for Symbols {
    fn default() -> Self {
        Self {
            file: File::open("/proc/kallsyms").ok(),
            functions: Vec::new(),
            text: String::new(),
            modules: None,
            known: HashMap::new(),
            readings: 0,
        }
    }
}

impl Symbols {
    /// `symbol+0x1f`, with ` [module]` behind for what is in one; the address in hex where that is not to be had.
    pub fn name(&mut self, address: u64) -> String {
        if let Some(known) = self.known.get(&address) {
            return known.clone();
        }
        let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
        if self.modules.as_ref() != Some(&modules) {
            self.modules = Some(modules);
            let mut kallsyms = String::new();
            if let Some(file) = &mut self.file {
                let _ = file.rewind().and_then(|()| file.read_to_string(&mut kallsyms));
            }
            self.read(&kallsyms);
        }
        let name = self.find(address).unwrap_or_else(|| format!("{address:#x}"));
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(address, name.clone());
        name
    }

    /// How often the symbols were read: from one reading to the next, a place has the same name.
    pub fn readings(&self) -> u64 {
        self.readings
    }

    fn read(&mut self, kallsyms: &str) {
        self.readings += 1;
        self.known.clear();
        self.functions.clear();
        self.text.clear();
        for line in kallsyms.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            // Who may not see the addresses is given zeros.
            let Some(address) = u64::from_str_radix(address, 16).ok().filter(|a| *a != 0) else { continue };
            let begin = self.text.len();
            self.text.push_str(name);
            if let Some(module) = words.next() {
                self.text.push(' ');
                self.text.push_str(module);
            }
            self.functions.push((address, begin as u32, (self.text.len() - begin) as u32));
        }
        // Stable: of two names of one address, the first that the kernel lists.
        self.functions.sort_by_key(|(address, ..)| *address);
    }

    fn find(&self, address: u64) -> Option<String> {
        // A location is a return address: where the call was the function's last instruction, it is the next one's begin.
        let call = address.checked_sub(1)?;
        let after = self.functions.partition_point(|(begin, ..)| *begin <= call);
        let (begin, ..) = *self.functions.get(after.checked_sub(1)?)?;
        let first = self.functions.partition_point(|(other, ..)| *other < begin);
        let (_, at, len) = self.functions[first];
        let text = &self.text[at as usize..(at + len) as usize];
        let offset = address - begin;
        Some(match text.split_once(' ') {
            Some((name, module)) => format!("{name}+{offset:#x} {module}"),
            None => format!("{text}+{offset:#x}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81000000 T startup_64
ffffffff81000100 t second
ffffffff81000100 T second_alias
ffffffff81000180 D data
ffffffffc0a01000 t ovs_vport_receive\t[openvswitch]
ffffffffc0a00000 t do_execute_actions\t[openvswitch]
";

    #[test]
    fn a_place_is_named_by_the_function_before_it() {
        let mut symbols = Symbols::default();
        symbols.read(KALLSYMS);
        let name = |address| symbols.find(address);
        assert_eq!(name(0xffff_ffff_8100_0123).as_deref(), Some("second+0x23"));
        assert_eq!(name(0xffff_ffff_8100_01f0).as_deref(), Some("second+0xf0"), "data is no function");
        assert_eq!(name(0xffff_ffff_c0a0_0010).as_deref(), Some("do_execute_actions+0x10 [openvswitch]"));
        assert_eq!(name(0xffff_ffff_c0a0_1000).as_deref(), Some("do_execute_actions+0x1000 [openvswitch]"));
        assert_eq!(name(0xffff_ffff_8000_0000), None, "before the first");
        assert_eq!(name(0), None);
    }

    #[test]
    fn hidden_addresses_name_nothing() {
        let mut symbols = Symbols::default();
        symbols.read("0000000000000000 T startup_64\n");
        assert_eq!(symbols.find(0xffff_ffff_8100_0123), None);
    }
}
