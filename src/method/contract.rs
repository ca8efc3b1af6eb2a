//! The contract between a run and a method.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Preset, Run};
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Collate, Sample};
use crate::encoder::{Backbone, Encoder, Stack};
use crate::error::Result;
use crate::grid::{Grid, ImageShape};
use crate::head::PredictionHead;
use crate::mask::MaskStrategy;
use crate::nn::InitialWeights;
use crate::target::Reconstruct;
use crate::task::{Mim, PretextTask};
use crate::train::Recipe;
use crate::viz::Picture;

/// A method of pre-training: a plain struct of its numbers, which says everything that a run needs.
///
/// One `impl` is enough: [`Run::pretrain`](crate::run::Run::pretrain) trains it, and what it leaves
/// can be resumed, loaded, probed, evaluated and put on a score card, by the same calls and the same
/// commands as the methods of this crate. `docs/adding-a-method.md` builds one.
///
/// The numbers are written to the run's `config.json`, and read from there to build the task again.
pub trait Method:
    Debug + Clone + Serialize + DeserializeOwned + Send + Sync + Sized + 'static
{
    /// The method's name in files, in JSON and on command lines, such as `mae`.
    const NAME: &'static str;
    /// The method's name in titles and prose, such as `MAE`.
    const TITLE: &'static str;
    /// What tells apart methods of one name: the kind of encoder that a generic method is on, such
    /// as `swin`. Default: empty
    const VARIANT: &'static str = "";
    /// Where the numbers hold paths of files, as JSON pointers: a run that is resumed may find these
    /// elsewhere. Default: nowhere
    const PATHS: &'static [&'static str] = &[];
    /// The name of the file that [`picture`](Self::picture) goes to.
    const PICTURE: &'static str = "reconstruction.png";

    /// The task that learns.
    type Task: PretextTask;
    /// The collate that makes the task's batches of samples.
    type Collate: Collate<Sample = Sample, Batch = <Self::Task as PretextTask>::Batch>;
    /// The encoder, which is kept after pre-training.
    type Encoder: Backbone + Clone;

    /// Numbers, recipes and augmentations by name: the first for images of a few dozen pixels and a
    /// laptop's minutes, the others the papers' own. Default: none
    fn presets() -> Vec<Preset<Self>> {
        Vec::new()
    }

    /// The images that the encoder reads.
    fn image(&self) -> ImageShape;

    /// Checks every rule that the numbers must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    fn validate(&self) -> Result<()>;

    /// How the paper trains.
    fn recipe(&self) -> Recipe;

    /// How the paper augments images.
    fn augmentation(&self) -> Augmentation;

    /// The statistics that images are normalized with, given the statistics of the training images.
    /// Default: the same
    fn normalization(&self, measured: ChannelStatistics) -> ChannelStatistics {
        measured
    }

    /// What makes batches of images that are augmented by `augmentation`.
    ///
    /// # Errors
    ///
    /// When the numbers, the data and the augmentation do not go together.
    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<Self::Collate>;

    /// The task with fresh weights.
    ///
    /// # Errors
    ///
    /// When the numbers and the data do not go together.
    fn init(&self, data: &DataFacts, weights: &mut InitialWeights) -> Result<Self::Task>;

    /// Fits parts of the task to the images before training, such as a palette or a tokenizer. A
    /// resumed run does not call this, since its checkpoint holds these parts. Each of several processes
    /// ([`Run::ranks`]) must fit the same. Default: the task as it is
    ///
    /// # Errors
    ///
    /// When it cannot be fitted, and [`Error::Interrupted`](crate::Error::Interrupted) when it was
    /// stopped.
    fn fit(&self, task: Self::Task, run: &Run) -> Result<Fitted<Self::Task>> {
        let _ = run;
        Ok(task.into())
    }

    /// The task that a new run begins with, once the weights to begin with are in place: a teacher
    /// that starts as its student becomes it here. A resumed run does not call this. Default: the
    /// task as it is
    fn begin(&self, task: Self::Task) -> Self::Task {
        task
    }

    /// The encoder of a task.
    fn encoder(task: &Self::Task) -> &Self::Encoder;

    /// The encoder of a task by itself, to be trained further. Default: a copy of
    /// [`encoder`](Self::encoder); where that is a frozen moving average, its weights must become
    /// trainable here
    fn kept(task: &Self::Task) -> Self::Encoder {
        Self::encoder(task).clone()
    }

    /// An encoder with fresh weights, and with the parts of `trained` that [`fit`](Self::fit) made:
    /// the baseline for evaluations. Default: the encoder of a fresh task
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init).
    fn untrained(
        &self,
        trained: &Self::Encoder,
        data: &DataFacts,
        weights: &mut InitialWeights,
    ) -> Result<Self::Encoder> {
        let _ = trained;
        Ok(Self::kept(&self.init(data, weights)?))
    }

    /// A picture of the trained task's predictions for a batch of up to 8 validation images, if
    /// there is something to see. Default: none
    ///
    /// # Errors
    ///
    /// When the picture cannot be drawn.
    fn picture(
        &self,
        task: &Self::Task,
        batch: <Self::Task as PretextTask>::Batch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let _ = (task, batch, data);
        Ok(None)
    }

    /// The blocks that a step runs with gradients, for an estimate of its memory. Default: none, they
    /// are not known
    fn stacks(&self) -> Vec<Stack> {
        Vec::new()
    }

    /// Leaves further files in the folder of a run that has ended; of several processes the first does.
    /// Default: nothing
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    fn finish(&self, task: &Self::Task, run: &Run) -> Result<()> {
        let _ = (task, run);
        Ok(())
    }

    /// A model that fills hidden pixels, if the task predicts pixels. Default: none
    ///
    /// # Errors
    ///
    /// When the numbers are broken.
    fn inpainting(&self, task: Self::Task) -> Result<Option<Inpainting>> {
        let _ = task;
        Ok(None)
    }
}

/// How many of `cells` the masks of a method hide; none where there can be none.
pub(super) fn hidden_cells(cells: usize, mask: Result<Arc<dyn MaskStrategy>>) -> usize {
    mask.map_or(0, |mask| cells * mask.hidden() / mask.grid().cells())
}

/// The title of the picture of `M`.
pub(super) fn picture_title<M: Method>() -> String {
    format!("{}: validation images", M::TITLE)
}

/// The facts about the images that a method may use before it sees one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DataFacts {
    /// The statistics that images are normalized with.
    pub statistics: ChannelStatistics,
}

impl DataFacts {
    /// The facts of images that are normalized with `statistics`.
    pub fn new(statistics: ChannelStatistics) -> Self {
        Self { statistics }
    }
}

/// A task with what was fitted to the images.
#[derive(Debug)]
pub struct Fitted<T> {
    /// The task.
    pub task: T,
    /// Whether fitting was itself resumed. The training after it is then new, so a resumed run
    /// begins with it.
    pub resumed: bool,
}

impl<T> From<T> for Fitted<T> {
    fn from(task: T) -> Self {
        Self { task, resumed: false }
    }
}

/// A model whose predictions are pixels.
pub struct Inpainting {
    /// The grid of units that are hidden or visible as a whole.
    pub units: Grid,
    /// The predicted pixels of hidden cells, zero elsewhere, in the units of the batch's images:
    /// `[batch, channels, height, width]`.
    pub predict: Box<dyn Fn(&MimBatch) -> Tensor<4>>,
}

impl Inpainting {
    /// The predictions of `model`, which hides whole `units`.
    pub fn new<E, H, T>(units: Grid, model: Mim<E, H, T>) -> Self
    where
        E: Encoder<Images = Tensor<4>> + 'static,
        H: PredictionHead<E::Features, Prediction = T::Prediction> + 'static,
        T: Reconstruct + 'static,
    {
        Self { units, predict: Box::new(move |batch| model.reconstruct(batch)) }
    }
}

impl Debug for Inpainting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inpainting").field("units", &self.units).finish_non_exhaustive()
    }
}
