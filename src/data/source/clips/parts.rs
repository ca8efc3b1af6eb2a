//! The parts of animated pictures, walked over by their headers.

use std::io::{self, BufRead, Seek};

/// A file of so many bytes, as far as it is read.
pub(super) struct Parts<F> {
    file: F,
    left: u64,
}

impl<F: BufRead + Seek> Parts<F> {
    pub(super) fn of(file: F, length: u64) -> Self {
        Self { file, left: length }
    }

    /// The pictures of a GIF file (GIF89a, Appendix A to E).
    pub(super) fn gif(&mut self) -> io::Result<usize> {
        let header: [u8; 13] = self.take()?;
        self.skip(table(header[10]))?;
        let mut pictures = 0;
        loop {
            match self.take::<1>()? {
                // An extension.
                [0x21] => self.skip(1)?,
                // A picture.
                [0x2c] => {
                    let header: [u8; 9] = self.take()?;
                    // A table of colors, and the size of the first codes.
                    self.skip(table(header[8]) + 1)?;
                    pictures += 1;
                }
                [0x3b] => return Ok(pictures),
                _ => return Err(invalid("a part of an unknown kind")),
            }
            loop {
                match self.take::<1>()? {
                    [0] => break,
                    [length] => self.skip(length.into())?,
                }
            }
        }
    }

    /// The frames of a WebP file (RFC 9649, 2.7), or 1 of a still one.
    pub(super) fn webp(&mut self) -> io::Result<usize> {
        self.skip(12)?;
        let mut frames = 0;
        while self.left > 0 {
            let name: [u8; 4] = self.take()?;
            let length = u64::from(u32::from_le_bytes(self.take()?));
            frames += usize::from(name == *b"ANMF");
            // The byte that makes a length even may be missing at the end.
            let padding = length % 2;
            self.skip(length)?;
            self.skip(padding.min(self.left))?;
        }
        Ok(frames.max(1))
    }

    /// The frames of a PNG file (PNG, third edition, 4.9), or 1 of a still one.
    pub(super) fn png(&mut self) -> io::Result<usize> {
        self.skip(8)?;
        let (mut is_animated, mut frames) = (false, 0);
        loop {
            let length = u64::from(u32::from_be_bytes(self.take()?));
            let name: [u8; 4] = self.take()?;
            is_animated |= name == *b"acTL";
            frames += usize::from(name == *b"fcTL");
            self.skip(length + 4)?;
            if name == *b"IEND" {
                return Ok(if is_animated { frames } else { 1 });
            }
        }
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.left = self.left.saturating_sub(N as u64);
        Ok(bytes)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.file.seek_relative(bytes as i64)
    }
}

/// Bytes of the table of colors that a GIF's flags announce.
fn table(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
