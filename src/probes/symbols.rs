//! Names of places in the kernel's code, from /proc/kallsyms.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{Read as _, Seek as _},
    thread::{self, JoinHandle},
};

use crate::privileges;

/// The most places whose names are kept.
const KNOWN_MAX: usize = 4096;

/// Reads the symbols when the first name is asked for, or [ahead](Symbols::read_ahead) of it, and again when modules have
/// come or gone.
#[derive(Debug)]
pub struct Symbols {
    /// /proc/kallsyms: what its reader may see was decided when it was opened, before privileges were given up.
    file: Option<File>,
    /// The reading ahead, until a name is asked for.
    ahead: Option<JoinHandle<(String, Functions)>>,
    functions: Functions,
    /// /proc/modules when they were read.
    modules: Option<String>,
    known: HashMap<u64, String>,
    readings: u64,
}

/// Functions and their names.
#[derive(Debug, Default)]
struct Functions {
    /// By address, rising: where the name begins in `text`, and its length.
    places: Vec<(u64, u32, u32)>,
    /// `name` or `name [module]` of all functions, one behind the other.
    text: String,
}

impl Default for Symbols {
    fn default() -> Self {
        Self {
            file: File::open("/proc/kallsyms").ok(),
            ahead: None,
            functions: Functions::default(),
            modules: None,
            known: HashMap::new(),
            readings: 0,
        }
    }
}

fn modules() -> String {
    fs::read_to_string("/proc/modules").unwrap_or_default()
}

impl Symbols {
    /// Begins to read them beside what else is to do: it takes half a second, in which nobody would read the ring buffer.
    pub fn read_ahead(&mut self) {
        self.ahead = self.file.as_ref().and_then(|file| file.try_clone().ok()).and_then(|mut file| {
            // Modules first: what comes in between is read again.
            let read = move || {
                // What it reads is open; one that cannot give privileges up reads nothing.
                if privileges::keep(&[]).is_err() {
                    return <(String, Functions)>::default();
                }
                (modules(), Functions::of(&mut file))
            };
            thread::Builder::new().name("ovscope-symbols".to_owned()).spawn(read).ok()
        });
    }

    /// `symbol+0x1f`, with ` [module]` behind for what is in one; the address in hex where that is not to be had.
    pub fn name(&mut self, address: u64) -> String {
        if let Some(known) = self.known.get(&address) {
            return known.clone();
        }
        if let Some(Ok((modules, functions))) = self.ahead.take().map(JoinHandle::join) {
            self.take(functions, modules);
        }
        let modules = modules();
        if self.modules.as_ref() != Some(&modules) {
            let functions = self.file.as_mut().map(Functions::of);
            self.take(functions.unwrap_or_default(), modules);
        }
        let name = self.functions.find(address).unwrap_or_else(|| format!("{address:#x}"));
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(address, name.clone());
        name
    }

    fn take(&mut self, functions: Functions, modules: String) {
        (self.functions, self.modules) = (functions, Some(modules));
        self.known.clear();
        self.readings += 1;
    }

    /// How often the symbols were read: from one reading to the next, a place has the same name.
    pub fn readings(&self) -> u64 {
        self.readings
    }
}

impl Functions {
    fn of(file: &mut File) -> Self {
        let mut kallsyms = String::new();
        let _ = file.rewind().and_then(|()| file.read_to_string(&mut kallsyms));
        Self::read(&kallsyms)
    }

    fn read(kallsyms: &str) -> Self {
        let mut functions = Self::default();
        for line in kallsyms.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            // Who may not see the addresses is given zeros.
            let Some(address) = u64::from_str_radix(address, 16).ok().filter(|a| *a != 0) else { continue };
            let begin = functions.text.len();
            functions.text.push_str(name);
            if let Some(module) = words.next() {
                functions.text.push(' ');
                functions.text.push_str(module);
            }
            functions.places.push((address, begin as u32, (functions.text.len() - begin) as u32));
        }
        // Stable: of two names of one address, the first that the kernel lists.
        functions.places.sort_by_key(|(address, ..)| *address);
        functions
    }

    fn find(&self, address: u64) -> Option<String> {
        // A location is a return address: where the call was the function's last instruction, it is the next one's begin.
        let call = address.checked_sub(1)?;
        let after = self.places.partition_point(|(begin, ..)| *begin <= call);
        let (begin, ..) = *self.places.get(after.checked_sub(1)?)?;
        let first = self.places.partition_point(|(other, ..)| *other < begin);
        let (_, at, len) = self.places[first];
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
        let functions = Functions::read(KALLSYMS);
        let name = |address| functions.find(address);
        assert_eq!(name(0xffff_ffff_8100_0123).as_deref(), Some("second+0x23"));
        assert_eq!(name(0xffff_ffff_8100_01f0).as_deref(), Some("second+0xf0"), "data is no function");
        assert_eq!(name(0xffff_ffff_c0a0_0010).as_deref(), Some("do_execute_actions+0x10 [openvswitch]"));
        assert_eq!(name(0xffff_ffff_c0a0_1000).as_deref(), Some("do_execute_actions+0x1000 [openvswitch]"));
        assert_eq!(name(0xffff_ffff_8000_0000), None, "before the first");
        assert_eq!(name(0), None);
    }

    #[test]
    fn hidden_addresses_name_nothing() {
        assert_eq!(Functions::read("0000000000000000 T startup_64\n").find(0xffff_ffff_8100_0123), None);
    }
}
