//! Video files, through the programs `ffprobe` and `ffmpeg` on the PATH: the one says how many frames
//! there are, the other sends them through a pipe, one after the other. No file is written.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use serde::Deserialize;

use crate::data::sample::Image;
use crate::data::source::budget;
use crate::data::source::planes::planar;
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// Endings of the names of video files.
pub(super) const ENDINGS: [&str; 16] = [
    "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "ts",
    "vob", "webm", "wmv",
];
/// Characters of what a program says that are kept for a message.
const SAID: usize = 300;
/// What may be read: files, and neither addresses nor lists of other files.
const PROTOCOLS: [&str; 2] = ["-protocol_whitelist", "file"];

/// What is known of a video before it is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Video {
    path: PathBuf,
    /// How many frames there are.
    pub(super) frames: usize,
    /// Frames a second.
    rate: f64,
    /// Whether all frames are shown for the same time, so that a time says which frame it is.
    is_steady: bool,
}

/// What `ffprobe` writes.
#[derive(Deserialize)]
struct Probed {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize)]
struct Stream {
    avg_frame_rate: String,
    r_frame_rate: String,
    #[serde(default)]
    nb_read_packets: String,
}

#[derive(Deserialize, Default)]
struct Format {
    #[serde(default)]
    duration: String,
}

impl Video {
    /// Asks `ffprobe` for the frames of the file `path`, which it counts without decoding them.
    ///
    /// # Errors
    ///
    /// When there is no such program, the file is no video, or it is cut short.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let mut command = program("ffprobe");
        command.args(["-select_streams", "V:0", "-count_packets", "-of", "json"]);
        command.args([
            "-show_entries",
            "stream=avg_frame_rate,r_frame_rate,nb_read_packets:format=duration",
        ]);
        let output = command.arg(address(path)).output();
        let output = output.map_err(|error| absent(path, "ffprobe", error))?;
        if !output.status.success() {
            return Err(fault(path, &String::from_utf8_lossy(&output.stderr)));
        }
        Self::probed(path, &output.stdout)
    }

    fn probed(path: &Path, json: &[u8]) -> Result<Self> {
        let probed: Probed =
            serde_json::from_slice(json).map_err(|error| fault(path, &error.to_string()))?;
        let Some(stream) = probed.streams.first() else {
            return Err(fault(path, "it holds no pictures that move"));
        };
        let [rate, shortest] = [&stream.avg_frame_rate, &stream.r_frame_rate].map(|rate| {
            let parts = rate.split_once('/').map(|(a, b)| (a.parse::<f64>(), b.parse::<f64>()));
            if let Some((Ok(frames), Ok(seconds))) = parts { frames / seconds } else { f64::NAN }
        });
        let frames = stream.nb_read_packets.parse().unwrap_or(0);
        if frames == 0 || !rate.is_finite() || rate <= 0.0 {
            return Err(fault(path, "it does not say how many frames it has"));
        }
        // Of a file that is cut in a place that no player would mind.
        let promised = probed.format.duration.parse().map_or(0.0, |seconds: f64| seconds * rate);
        if (frames as f64) < 0.9 * promised - 2.0 {
            let reason = format!("it ends after {frames} of {promised:.0} frames");
            return Err(fault(path, &reason));
        }
        let is_steady = (shortest - rate).abs() < 0.001 * rate;
        Ok(Self { path: path.into(), frames, rate, is_steady })
    }

    /// The `count` frames from `start` on, after as many that are not wanted as is said.
    ///
    /// # Errors
    ///
    /// When there is no `ffmpeg`.
    pub(super) fn frames(&self, start: usize, count: usize) -> Result<(Pipe, usize)> {
        let (sought, skipped) = if self.is_steady { (start, 0) } else { (0, start) };
        let count = count.saturating_add(skipped);
        let pipe = Pipe::open(&self.path, &self.arguments(sought, count), count)?;
        Ok((pipe, skipped))
    }

    fn arguments(&self, start: usize, count: usize) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            ["-nostdin", "-xerror", "-threads", "1"].map(OsString::from).into();
        if start > 0 {
            // Half a frame before it, so that rounded times do not matter.
            let seconds = (start as f64 - 0.5) / self.rate;
            arguments.extend(["-ss".into(), format!("{seconds:.6}").into()]);
        }
        // All frames are given times of one rate, or some would be left out or shown twice.
        arguments.extend(["-i".into(), address(&self.path)]);
        arguments
            .extend(["-map", "0:V:0", "-vf", "setpts=N/(25*TB)", "-r", "25"].map(OsString::from));
        arguments.extend(["-frames:v".into(), count.to_string().into()]);
        let pipe = ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"];
        arguments.extend(pipe.map(OsString::from));
        arguments
    }
}

/// Frames as `ffmpeg` sends them: each as the header of a PPM file, which says its size, and RGB bytes.
pub(super) struct Pipe {
    path: PathBuf,
    bytes: u64,
    /// How many are to come.
    left: usize,
    child: Child,
    frames: BufReader<ChildStdout>,
    said: Option<JoinHandle<String>>,
}

impl Pipe {
    fn open(path: &Path, arguments: &[OsString], left: usize) -> Result<Self> {
        let bytes = path.metadata().map_err(|error| Error::data(path, error))?.len();
        let mut command = program("ffmpeg");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| absent(path, "ffmpeg", error))?;
        let (Some(frames), Some(mut errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(fault(path, "ffmpeg has no pipes"));
        };
        // Read at once and to the end: a program whose pipe is full waits.
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            let _ = errors.by_ref().take(4 * SAID as u64).read_to_end(&mut said);
            let _ = io::copy(&mut errors, &mut io::sink());
            String::from_utf8_lossy(&said).into_owned()
        });
        let frames = BufReader::with_capacity(1 << 16, frames);
        Ok(Self { path: path.into(), bytes, left, child, frames, said: Some(said) })
    }

    fn read(&mut self) -> Result<Option<Image>> {
        let cut = |error: io::Error| fault(&self.path, &error.to_string());
        if self.frames.fill_buf().map_err(cut)?.is_empty() {
            return self.end().map(|()| None);
        }
        let [width, height] = header(&mut self.frames).map_err(cut)?;
        budget::of_frames(&self.path, [width, height], 1, self.bytes)?;
        let shape = ImageShape::new(3, height, width);
        let mut pixels = vec![0; shape.values()];
        if let Err(error) = self.frames.read_exact(&mut pixels) {
            self.end()?;
            return Err(fault(&self.path, &error.to_string()));
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.end()?;
        }
        Image::new(shape, planar(&pixels, 3, 3, |value| value)).map(Some)
    }

    /// Waits for the end of the program, which may have found a fault after the frames it sent.
    fn end(&mut self) -> Result<()> {
        let status = self.child.wait().map_err(|error| fault(&self.path, &error.to_string()))?;
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        if status.success() { Ok(()) } else { Err(fault(&self.path, &said)) }
    }
}

impl Iterator for Pipe {
    type Item = Result<Image>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The width and height in the header `P6 width height 255`.
fn header(frames: &mut impl BufRead) -> io::Result<[usize; 2]> {
    let mut words = Vec::new();
    while words.len() < 4 {
        let mut word = Vec::new();
        loop {
            let mut byte = [0];
            frames.read_exact(&mut byte)?;
            match byte[0] {
                byte if byte.is_ascii_whitespace() => break,
                byte if word.len() < 20 => word.push(byte),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        words.push(String::from_utf8(word).map_err(|_| io::ErrorKind::InvalidData)?);
    }
    match (words[0].as_str(), words[1].parse(), words[2].parse(), words[3].as_str()) {
        ("P6", Ok(width), Ok(height), "255") => Ok([width, height]),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.args(["-v", "error"]).args(PROTOCOLS);
    command
}

/// The path as these programs take it, whatever it begins with.
fn address(path: &Path) -> OsString {
    let mut address = OsString::from("file:");
    address.push(path);
    address
}

/// Whether a file of this name is a video.
pub(super) fn is_video(name: &OsStr) -> bool {
    let ending = Path::new(name).extension();
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

fn absent(path: &Path, program: &str, error: io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => format!(
            "is a video, which the program `{program}` reads, and there is none on the PATH; install \
             ffmpeg (https://ffmpeg.org), which brings it, or turn the video into a folder of images"
        ),
        _ => format!("is a video, and `{program}` cannot be started: {error}"),
    };
    Error::data(path, reason)
}

/// A fault in one line.
fn fault(path: &Path, said: &str) -> Error {
    let line: Vec<&str> = said.split_whitespace().collect();
    let line: String = line.join(" ").chars().take(SAID).collect();
    let line = if line.is_empty() { "ffmpeg does not say why".into() } else { line };
    Error::data(path, format!("cannot be read as a video: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ffprobe_says_is_understood_or_refused() {
        let probed = |json: &str| Video::probed(Path::new("a.mp4"), json.as_bytes());
        let whole = r#"{"streams": [{"avg_frame_rate": "30000/1001",
            "r_frame_rate": "30000/1001", "nb_read_packets": "100"}],
            "format": {"duration": "3.336"}}"#;
        let video = probed(whole).unwrap();
        assert_eq!((video.frames, video.is_steady), (100, true));
        assert!((video.rate - 29.97).abs() < 1e-2);
        let message = |json: &str| probed(json).unwrap_err().to_string();
        let cut = message(&whole.replace("3.336", "33.36"));
        assert!(
            cut.contains("a.mp4: cannot be read as a video: it ends after 100 of 1000"),
            "{cut}"
        );
        assert!(message("{}").contains("holds no pictures that move"));
        for broken in
            [whole.replace("30000/1001\",\n", "0/0\",\n"), whole.replace("100\"", "N/A\"")]
        {
            assert!(message(&broken).contains("how many frames"), "{broken}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_said_to_be_needed() {
        let error = Command::new("no-such-program-of-video").spawn().unwrap_err();
        let message = absent(Path::new("a.mkv"), "ffmpeg", error).to_string();
        assert!(message.starts_with("a.mkv: is a video, which the program `ffmpeg` reads"));
        assert!(message.contains("install ffmpeg"), "{message}");
    }

    #[test]
    fn frames_have_headers_of_ppm() {
        assert_eq!(header(&mut &b"P6\n33 21\n255\n..."[..]).unwrap(), [33, 21]);
        for broken in ["P5 1 1 255\n", "P6 1 x 255\n", "P6 1", "P6 1234567890123456789012 1 255\n"]
        {
            assert!(header(&mut broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn names_that_look_like_addresses_or_flags_are_paths() {
        assert_eq!(address(Path::new("-i http:x.mp4")), "file:-i http:x.mp4");
        assert!(is_video(OsStr::new("a.MP4")) && !is_video(OsStr::new("a.mp3")));
    }
}
