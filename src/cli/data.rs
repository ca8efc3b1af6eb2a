//! The flags by which commands open images.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::builder::{OsStringValueParser, TypedValueParser};
use serde_json::Value;

use super::exit::say;
use crate::data::{
    ChannelStatistics, Channels, DataOptions, DataSpec, ImageData, OnBadImage, OpenProgress,
    OpenStep,
};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::train::{Ranks, RunFolder};

/// How the images are read, on every command line that opens some.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub struct Reading {
    /// auto | 1 | 3: channels that every image is converted to; auto: color if any of up to 1024
    /// training images looked at has color
    #[arg(long, default_value_t)]
    channels: Channels,
    /// error | skip: what becomes of a file that cannot be read as an image
    #[arg(long, default_value_t)]
    on_bad_image: OnBadImage,
    /// The value of 16-bit images that is white, such as 4095 [default: 65535]
    #[arg(long, value_name = "VALUE")]
    white: Option<NonZero<u16>>,
    /// Bring images of 16 bits and of floating-point numbers to 8 bits
    #[arg(long)]
    eight_bits: bool,
    /// Read every image beforehand, and name those that cannot be read
    #[arg(long)]
    verify: bool,
}

/// Files that are named where many cannot be read.
const NAMED: usize = 20;

impl Reading {
    /// As `options` say; with `verify`, every image is read beforehand.
    pub(super) fn new(options: &DataOptions, verify: bool) -> Self {
        let DataOptions { channels, on_bad_image, white, eight_bits, .. } = *options;
        Self { channels, on_bad_image, white, eight_bits, verify }
    }

    /// The same on one of several processes, of which the first reads every image beforehand.
    pub(super) fn on(&self, ranks: &Ranks) -> Self {
        Self { verify: self.verify && ranks.is_first(), ..self.clone() }
    }

    /// Opens the data as [`open`] does, and reads every image where that is asked for.
    pub fn open(
        &self,
        spec: &DataSpec,
        options: &DataOptions,
        statistics: Option<ChannelStatistics>,
    ) -> Result<ImageData> {
        let opened = open(spec, options, statistics);
        if !self.verify {
            return opened;
        }
        // What stops at the first bad image is opened without it, to find the others.
        let skip = options.clone().with_on_bad_image(OnBadImage::Skip);
        let data = opened.or_else(|error| open(spec, &skip, None).map_err(|_| error))?;
        let mut waiting = Waiting::new();
        let faults = data.verify(&mut |progress| waiting.tell(progress));
        let (bad, all) = (faults.len(), data.train.len() + data.test.len());
        for fault in faults.iter().take(NAMED) {
            say(format_args!("{fault}"));
        }
        if bad > NAMED {
            say(format_args!("... and {} more", bad - NAMED));
        }
        match self.on_bad_image {
            _ if bad == 0 => say(format_args!("all {all} images can be read")),
            OnBadImage::Skip => {
                say(format_args!("{bad} of {all} images cannot be read and are left out"))
            }
            OnBadImage::Error => {
                let advice =
                    "repair or remove these files, or leave them out by --on-bad-image skip";
                let reason = format!("{bad} of {all} images cannot be read; {advice}");
                return Err(Error::data(spec.to_string(), reason));
            }
        }
        Ok(data)
    }

    /// The same for the library.
    pub fn options(&self) -> DataOptions {
        DataOptions::default()
            .with_channels(self.channels)
            .with_on_bad_image(self.on_bad_image)
            .with_white(self.white)
            .with_eight_bits(self.eight_bits)
    }

    /// The same for an encoder that reads `image`, on the images of `spec`.
    pub fn options_for(&self, image: ImageShape, spec: &DataSpec) -> DataOptions {
        let options = self.options().holding(spec, image);
        match self.channels {
            Channels::Auto => options.with_channels(Channels::Exactly(image.channels)),
            Channels::Exactly(_) => options,
        }
    }
}

/// The statistics of the run in `folder`, if there is one: a run that goes on keeps them.
pub(super) fn saved_statistics(folder: &Path) -> Option<ChannelStatistics> {
    let mut config: Value = RunFolder::new(folder).config().ok()?;
    serde_json::from_value(config["statistics"].take()).ok()
}

/// Reads `--data`, whose path may be any bytes.
pub fn spec() -> impl TypedValueParser<Value = DataSpec> {
    OsStringValueParser::new().try_map(|text: OsString| DataSpec::from_os(&text))
}

/// Opens the data, saying at once and every few seconds how far that is, and what was found.
///
/// With the `statistics` of a run that goes on, none are measured.
pub fn open(
    spec: &DataSpec,
    options: &DataOptions,
    statistics: Option<ChannelStatistics>,
) -> Result<ImageData> {
    say(format_args!("opening {spec}"));
    let mut waiting = Waiting::new();
    let mut progress = |progress| waiting.tell(progress);
    let data = match statistics {
        Some(statistics) => spec.open_measured(options, statistics, &mut progress)?,
        None => spec.open(options, &mut progress)?,
    };
    let (train, test) = (data.train.len(), data.test.len());
    let channels = data.shape.channels;
    say(format_args!("{spec}: {train} images to train, {test} to test, channels: {channels}"));
    for note in &data.notes {
        say(format_args!("note: {note}"));
    }
    Ok(data)
}

/// Tells how far a wait is, at most every few seconds.
pub(super) struct Waiting {
    told: Instant,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { told: Instant::now() }
    }

    pub(super) fn tell(&mut self, OpenProgress { step, done, total }: OpenProgress) {
        if self.told.elapsed() < Duration::from_secs(3) {
            return;
        }
        self.told = Instant::now();
        let (what, unit, size) = match step {
            OpenStep::Download => ("downloading", "MB", 1 << 20),
            OpenStep::List => ("listing", "files", 1),
            OpenStep::Measure => ("measuring statistics", "images", 1),
            OpenStep::Verify => ("reading", "images", 1),
            OpenStep::Pack => ("packing", "images", 1),
        };
        let total = total.map_or(String::new(), |total| format!(" of {}", total / size));
        say(format_args!("{what}: {}{total} {unit}", done / size));
    }
}
