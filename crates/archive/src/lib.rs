//! Archives of messages as their owners ask for them (XEP-0313 Message Archive Management, version
//! 1.1.3, with XEP-0059): queries read, pages cut, answers written. Pure; knows neither who may ask nor
//! whose archive it is. Shared by accounts and rooms.
//!
//! | module | owns |
//! |---|---|
//! | [`query`] | a request as a query of the store, and the form of what may be asked |
//! | [`page`] | pages collected from the store, and bounded |
//! | [`fulltext`] | words that are looked for |
//! | [`ids`] | what rows are called where others see it |
//! | [`answer`] | result messages, the final answer, metadata |

pub mod answer;
pub mod fulltext;
pub mod ids;
pub mod page;
pub mod query;

pub use ids::Ids;
pub use page::{Collector, Step};
pub use query::Query;

/// The most messages of one page, whatever the client asks for.
pub const PAGE_MOST: u32 = 250;
/// The messages of a page where the client does not say how many.
pub const PAGE_USUAL: u32 = 100;
