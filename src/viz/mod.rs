//! Pictures for people: reconstruction sheets and loss curves, drawn on the host.
//!
//! Everything ends as a [`Picture`], a small RGB image that is magnified, pasted and saved as a PNG
//! file. A [`PictureGrid`] lays pictures out under column titles; [`ReconstructionSheet`] is that grid
//! for masked images, and [`reconstruction_sheet`] fills it from a model. An [`Animation`] is pictures one
//! after the other. [`LossCurve`] is the one chart.
//!
//! ```
//! use burn_mim::ImageShape;
//! use burn_mim::viz::{LossCurve, Picture, PictureGrid};
//!
//! // A page of two pictures of 16 × 16 pixels, which are magnified to be seen.
//! let ramp: Vec<f32> = (0..256).map(|i| i as f32 / 255.0).collect();
//! let inverse: Vec<f32> = ramp.iter().map(|value| 1.0 - value).collect();
//! let shape = ImageShape::square(1, 16);
//! let mut page = PictureGrid::new("A ramp", ["image", "inverse"]);
//! page.push_row(vec![
//!     Picture::from_planar(shape, &ramp)?,
//!     Picture::from_planar(shape, &inverse)?,
//! ])?;
//! # let folder = tempfile::tempdir().unwrap();
//! # let out = folder.path();
//! # /*
//! let out = std::path::Path::new("pictures");
//! # */
//! page.save(out.join("ramp.png"))?;
//!
//! let curve = LossCurve::new("A run").with_train([(1, 0.9), (2, 0.6)]).with_trivial(1.0);
//! assert_eq!(curve.render()?.width(), 800);
//! # Ok::<(), burn_mim::Error>(())
//! ```

mod animation;
mod canvas;
mod chart;
mod curve;
mod depiction;
mod images;
mod line;
mod picture;
mod picture_grid;
mod png;
mod reconstruct;
mod sheet;
mod text;

pub use animation::Animation;
pub use curve::LossCurve;
pub use depiction::depiction_sheet;
pub(crate) use depiction::masked;
pub use images::pictures;
pub use line::EpochValue;
pub use picture::Picture;
pub use picture_grid::PictureGrid;
pub use reconstruct::reconstruction_sheet;
pub(crate) use sheet::HIDDEN;
pub use sheet::{ReconstructionSheet, SheetRow};
