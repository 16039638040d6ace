//! What is counted: figures that any thread adds to cheaply and any other reads. Knows nothing of what they
//! count, and nothing of how they are published.
//!
//! | module | owns |
//! |---|---|
//! | [`counter`] | figures that grow, or go up and down |
//! | [`by`] | counters side by side, one for each label |
//! | [`share`] | what one owner contributes to a figure, taken back when it is dropped |
//! | [`peak`] | how high a figure was lately |
//! | [`histogram`] | how often a quantity was how large |
//! | [`subscriber`] | who is behind an address, where it is counted by that |
//! | [`clock`] | the time of day |
//! | [`pressure`] | how near to its most memory the process is |

pub mod by;
pub mod clock;
pub mod counter;
pub mod histogram;
pub mod peak;
pub mod pressure;
pub mod share;
pub mod subscriber;

pub use by::By;
pub use counter::Counter;
pub use histogram::{Histogram, Reading};
pub use peak::Peak;
pub use pressure::{Level, Places, Pressure};
pub use share::Share;
pub use subscriber::Subscriber;
