//! TensorBoard's event files: records of a length and its checksum, each an `Event` of protobuf.
//!
//! The frames are TFRecord's (tensorflow/core/lib/io/record_writer.cc), the messages those of
//! event.proto and summary.proto, of which scalars need eight fields. The crates that write such
//! files are old and panic where a file cannot be written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::log_line::LogLine;

/// The folder of the event files within the run's folder.
const FOLDER: &str = "tensorboard";

/// An event file, open at its end.
#[derive(Debug)]
pub(super) struct Events {
    file: File,
    /// When the run's clock was at 0, in seconds since 1970.
    began: f64,
}

impl Events {
    /// A file in `folder` that begins with the lines that a run has so far. Files of earlier
    /// processes are removed: what they tell is in these lines, or lost to the run.
    pub(super) fn begin(folder: &Path, lines: &[LogLine]) -> io::Result<Self> {
        let folder = folder.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&folder)?,
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("events.out.tfevents.{:010}.burn-mim", now.as_secs());
        let seconds = lines.last().map_or(0.0, |line| line.numbers().1);
        let began = now.as_secs_f64() - seconds;
        let mut events = Self { file: File::create(folder.join(name))?, began };
        events.file.write_all(&record(&version(began)))?;
        lines.iter().try_for_each(|line| events.write(line))?;
        Ok(events)
    }

    /// Appends the scalars of a line.
    pub(super) fn write(&mut self, line: &LogLine) -> io::Result<()> {
        let (step, seconds) = line.numbers();
        let event = scalars(self.began + seconds, step as i64, &line.scalars());
        self.file.write_all(&record(&event))
    }
}

impl LogLine {
    /// The step and the run's clock.
    fn numbers(&self) -> (usize, f64) {
        match *self {
            Self::Step { step, seconds, .. } | Self::Epoch { step, seconds, .. } => (step, seconds),
        }
    }

    /// What TensorBoard draws.
    fn scalars(&self) -> Vec<(String, f32)> {
        let named = |name: &str, value: f64| (name.to_string(), value as f32);
        match self {
            Self::Step { loss, rate, gradient_norm, images_per_second, memory, .. } => {
                let mut scalars = vec![
                    named("train/loss", f64::from(*loss)),
                    named("train/learning_rate", *rate),
                    named("speed/images_per_second", *images_per_second),
                ];
                scalars.extend(gradient_norm.map(|norm| named("train/gradient_norm", norm.into())));
                scalars.extend(memory.map(|bytes| named("memory/resident_bytes", bytes as f64)));
                scalars
            }
            Self::Epoch { epoch, train_loss, valid_loss, metrics, .. } => {
                let mut scalars = vec![
                    named("epoch/number", *epoch as f64),
                    named("epoch/train_loss", *train_loss),
                    named("validation/loss", *valid_loss),
                ];
                let others = metrics.iter();
                scalars.extend(
                    others.map(|(name, value)| named(&format!("validation/{name}"), *value)),
                );
                scalars
            }
        }
    }
}

/// The event that a file begins with.
fn version(time: f64) -> Vec<u8> {
    let mut event = double(1, time);
    event.extend(bytes(3, b"brain.Event:2"));
    event
}

/// An event of `values` by name.
fn scalars(time: f64, step: i64, values: &[(String, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut one = bytes(1, tag.as_bytes());
        one.push(key(2, 5));
        one.extend(value.to_le_bytes());
        summary.extend(bytes(1, &one));
    }
    let mut event = double(1, time);
    event.push(key(2, 0));
    event.extend(varint(step as u64));
    event.extend(bytes(5, &summary));
    event
}

/// The key of a field below 16 with one of protobuf's wire types.
fn key(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

fn double(field: u8, value: f64) -> Vec<u8> {
    [&[key(field, 1)][..], &value.to_le_bytes()].concat()
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    [&[key(field, 2)][..], &varint(content.len() as u64), content].concat()
}

/// Seven bits a byte, the lowest first; the highest bit says that there are more.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A frame around an event: its length, the length's checksum, the event, its checksum.
fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), event, &masked(event).to_le_bytes()].concat()
}

/// A checksum turned and shifted, since the sum of bytes that hold their sum says little.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The checksum of Castagnoli's polynomial, bit by bit: lines are short and seldom.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    let byte = |crc: u32, &byte: &u8| (0..8).fold(crc ^ u32::from(byte), step);
    !bytes.iter().fold(!0, byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4, and the check value of CRC-32C.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// Bytes of hexadecimal digits.
    fn hex(digits: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn records_are_the_bytes_that_tensorboard_writes() {
        // Made by TensorBoard's own RecordWriter and messages: tests/parity/events.py.
        let values = [("train/loss".to_string(), 0.5), ("validation/knn_top1".into(), 41.25)];
        assert_eq!(record(&scalars(1.5, 300, &values)), hex(SCALARS));
        assert_eq!(record(&version(1.5)), hex(VERSION));
    }

    const SCALARS: &str = "3d000000000000006049f1ec09000000000000f83f10ac022a2f0a110a0a747261\
        696e2f6c6f7373150000003f0a1a0a1376616c69646174696f6e2f6b6e6e5f746f703115000025425ac991c2";
    const VERSION: &str = "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a\
        322a28646c";
}
