//! Batches on their way from the thread that makes them to where they are used.

use std::fmt;

/// A batch as it is made ahead: where its images are of 8 bits, they stay so until it is used, and become
/// the network's input on its device, to the same bits. That takes a quarter of the memory of what waits,
/// and of the way to the device.
pub struct Loaded<B>(Box<dyn FnOnce() -> B + Send>);

impl<B> fmt::Debug for Loaded<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loaded")
    }
}

impl<B: Send + 'static> Loaded<B> {
    /// A batch that is whole already.
    pub fn whole(batch: B) -> Self {
        Self(Box::new(move || batch))
    }

    /// A batch that `finish` makes whole, where it is used.
    pub fn later(finish: impl FnOnce() -> B + Send + 'static) -> Self {
        Self(Box::new(finish))
    }

    /// The batch.
    pub fn finish(self) -> B {
        (self.0)()
    }
}
