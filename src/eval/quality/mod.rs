//! How much of their room features use: judged without labels.

mod lidar;
mod rank_me;

pub use lidar::Lidar;
pub use rank_me::rank_me;
