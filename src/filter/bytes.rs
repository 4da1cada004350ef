//! `-f`: libpcap compiles the expression, for Ethernet. It is loaded for that alone (libpcap.c beside this file): without `-f`
//! it need not be installed.

use pcap::{Capture, Error, Linktype};

use super::classic::{Insn, check};

/// The program of a filter in the syntax of pcap-filter(7), or what libpcap says is wrong with it.
pub fn compile(text: &str) -> Result<Vec<Insn>, String> {
    if text.trim().is_empty() {
        return Err("it is empty: try 'udp port 4789', or see pcap-filter(7)".to_owned());
    }
    let libpcap = Capture::dead(Linktype::ETHERNET).map_err(|_| {
        "-f needs libpcap, and there is none on this host: install it (Debian, Ubuntu: libpcap0.8; Fedora: libpcap), \
         or choose by fields with --where"
            .to_owned()
    })?;
    let compiled = libpcap.compile(text, true).map_err(|error| match error {
        Error::PcapError(why) => format!("libpcap says: {why}; see pcap-filter(7)"),
        other => format!("{other}; see pcap-filter(7)"),
    })?;
    // The crate shows its instructions as text only: code, jt, jf, k.
    let program: Option<Vec<Insn>> = compiled.get_instructions().iter().map(|i| read(&i.to_string())).collect();
    let program = program.ok_or("libpcap's program cannot be read")?;
    check(&program).map_err(|why| why.to_string())?;
    Ok(program)
}

fn read(text: &str) -> Option<Insn> {
    let mut words = text.split(' ');
    let insn = Insn {
        code: words.next()?.parse().ok()?,
        jt: words.next()?.parse().ok()?,
        jf: words.next()?.parse().ok()?,
        k: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(insn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_read_from_its_text() {
        assert_eq!(read("40 0 0 12"), Some(Insn { code: 40, jt: 0, jf: 0, k: 12 }));
        assert_eq!(read("21 0 8 4294967295"), Some(Insn { code: 21, jt: 0, jf: 8, k: u32::MAX }));
        for bad in ["", "40 0 0", "40 0 0 12 1", "40 256 0 1", "a 0 0 1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_is_no_filter() {
        for empty in ["", "  "] {
            assert!(compile(empty).is_err_and(|why| why.contains("empty")));
        }
    }
}
