//! Writes pcapng (draft-ietf-opsawg-pcapng): the blocks and options that a capture of a datapath needs, little-endian, with
//! times in nanoseconds.

use std::io::{self, Write};

/// `LINKTYPE_ETHERNET`.
const ETHERNET: u16 = 1;
/// The most bytes of an option's value.
const OPTION_LIMIT: usize = 0xffff;
/// `opt_comment`, in any block.
const COMMENT: u16 = 1;

/// Who captured: the section's head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section<'a> {
    /// The machine's kind.
    pub hardware: &'a str,
    /// The operating system.
    pub os: &'a str,
    /// The program that writes.
    pub application: &'a str,
    /// Anything else.
    pub comment: &'a str,
}

/// An interface that packets were seen at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub description: &'a str,
}

/// A packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapturedPacket<'a> {
    /// The interface, by its place from 0.
    pub interface: u32,
    /// When, in nanoseconds since 1970 UTC.
    pub time: u64,
    /// Bytes in the whole packet.
    pub len: u32,
    /// The first of them.
    pub data: &'a [u8],
    /// The same packet has the same number wherever it is captured.
    pub id: u64,
    /// Comments.
    pub comments: &'a [String],
}

/// What is missing, of an interface or in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics<'a> {
    /// The interface, by its place from 0.
    pub interface: u32,
    /// When it was so, in nanoseconds since 1970 UTC.
    pub time: u64,
    /// The times of the capture's begin and end.
    pub span: Option<(u64, u64)>,
    /// Packets that came, recorded or not.
    pub received: Option<u64>,
    /// Packets that the capture lost for want of room.
    pub dropped: Option<u64>,
    /// Packets that the system lost.
    pub os_dropped: Option<u64>,
    /// Packets in the file.
    pub delivered: Option<u64>,
    /// Anything else.
    pub comments: &'a [String],
}

/// Writes a section of pcapng into `output`.
#[derive(Debug)]
pub struct PcapngWriter<W> {
    output: W,
    interfaces: u32,
    block: Vec<u8>,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file.
    pub fn new(output: W, section: &Section<'_>) -> io::Result<Self> {
        let mut writer = Self { output, interfaces: 0, block: Vec::new() };
        writer.begin(0x0a0d_0d0a);
        writer.block.extend(0x1a2b_3c4d_u32.to_le_bytes());
        writer.block.extend([1u16, 0].map(u16::to_le_bytes).concat());
        // The section's length: not known.
        writer.block.extend(u64::MAX.to_le_bytes());
        for (code, text) in
            [(2, section.hardware), (3, section.os), (4, section.application), (COMMENT, section.comment)]
        {
            writer.text(code, text);
        }
        writer.end()?;
        Ok(writer)
    }

    /// Tells of an interface; gives its place, which packets name it by.
    pub fn interface(&mut self, interface: &Interface<'_>) -> io::Result<u32> {
        self.begin(1);
        self.block.extend([ETHERNET, 0].map(u16::to_le_bytes).concat());
        // Bytes kept of a packet: no bound.
        self.block.extend(0u32.to_le_bytes());
        self.text(2, interface.name);
        self.text(3, interface.description);
        // if_tsresol: units of 10^-9 seconds.
        self.option(9, &[9]);
        self.end()?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Writes a packet.
    pub fn packet(&mut self, packet: &CapturedPacket<'_>) -> io::Result<()> {
        let captured = packet.data.len() as u32;
        self.begin(6);
        self.block.extend(packet.interface.to_le_bytes());
        self.time(packet.time);
        self.block.extend(captured.to_le_bytes());
        self.block.extend(packet.len.max(captured).to_le_bytes());
        self.block.extend_from_slice(packet.data);
        self.pad();
        for comment in packet.comments {
            self.text(COMMENT, comment);
        }
        // epb_packetid
        self.option(5, &packet.id.to_le_bytes());
        self.end()
    }

    /// Writes what is missing.
    pub fn statistics(&mut self, statistics: &Statistics<'_>) -> io::Result<()> {
        self.begin(5);
        self.block.extend(statistics.interface.to_le_bytes());
        self.time(statistics.time);
        for comment in statistics.comments {
            self.text(COMMENT, comment);
        }
        if let Some((from, to)) = statistics.span {
            for (code, time) in [(2, from), (3, to)] {
                let halves = [(time >> 32) as u32, time as u32].map(u32::to_le_bytes).concat();
                self.option(code, &halves);
            }
        }
        let counts =
            [(4, statistics.received), (5, statistics.dropped), (7, statistics.os_dropped), (8, statistics.delivered)];
        for (code, count) in counts {
            if let Some(count) = count {
                self.option(code, &count.to_le_bytes());
            }
        }
        self.end()
    }

    /// The output, with all that was written.
    pub fn into_inner(self) -> W {
        self.output
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.block.extend(kind.to_le_bytes());
        // Its length, when it is known.
        self.block.extend([0; 4]);
    }

    fn end(&mut self) -> io::Result<()> {
        // opt_endofopt
        self.block.extend([0; 4]);
        let len = (self.block.len() as u32 + 4).to_le_bytes();
        self.block[4..8].copy_from_slice(&len);
        self.block.extend(len);
        self.output.write_all(&self.block)
    }

    fn time(&mut self, time: u64) {
        self.block.extend([(time >> 32) as u32, time as u32].map(u32::to_le_bytes).concat());
    }

    fn pad(&mut self) {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(OPTION_LIMIT)];
        self.block.extend([code, value.len() as u16].map(u16::to_le_bytes).concat());
        self.block.extend_from_slice(value);
        self.pad();
    }

    /// UTF-8, cut at a character where it is too long; nothing where it is empty.
    fn text(&mut self, code: u16, text: &str) {
        if !text.is_empty() {
            let mut end = text.len().min(OPTION_LIMIT);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            self.option(code, &text.as_bytes()[..end]);
        }
    }
}
