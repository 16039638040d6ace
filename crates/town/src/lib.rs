//! The test kit: scripts of clients in plain words and literal XML, played against a running server over
//! real sockets. Knows nothing of how the server is built.
//!
//! A story is a list of steps, one per line; a line that begins with white space and `<` goes on with the
//! step before it:
//!
//! ```text
//! romeo/phone   connects
//! juliet/garden connects
//! juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>hi</body></message>
//! romeo/phone   receives <message from='{juliet/garden}' type='chat'><body>hi</body></message>
//! everyone      is quiet
//! ```
//!
//! | step | what happens |
//! |---|---|
//! | `connects` | logs in, binds the resource, sends initial presence; presence that this causes is set aside |
//! | `binds` | logs in and binds the resource |
//! | `logs in` | logs in only |
//! | `opens a stream` | sends the opening tag, on a new socket or behind a log-in; the answer is received as `<stream …/>` |
//! | `starts over` | what the server says now is a new stream |
//! | `dials` | opens a socket and sends nothing |
//! | `sends XML` | sends the bytes as they stand, with `{…}` filled in |
//! | `sends bytes ff fe` | sends these bytes |
//! | `receives XML` | the next thing that comes must be this |
//! | `finds XML` | this must come, and what comes before it is passed over |
//! | `hears XML` | the next things must be these, in any order (several lines of XML) |
//! | `is quiet` | nothing has come that was not received |
//! | `leaves` | closes the stream, and waits for the server to do so |
//! | `vanishes` | drops the socket |
//! | `loses the stream` | the server has ended the stream |
//! | `server is stopped` | the server is asked to stop, and ends its streams |
//! | `server dies` | the server ends as by a power cut |
//! | `server starts again` | when it has ended, on the same data |
//! | `server a dies` | the first of several members ends as by a power cut |
//! | `connects by websocket` | as `connects`, over a WebSocket; so for whatever logs in |
//! | `server b starts again` | when it has ended, on the same data |
//! | `lives on b` | the account's home is to be the second member, or the second of two domains; else the first |
//! | `connects on c` | as `connects`, at the third member; so for whatever logs in |
//!
//! In XML, `{romeo/phone}` is a full address, `{romeo}` a bare one, `{domain}` the domain, `{room coven}` a
//! room of its service; `{domain b}`, `{room coven b}` and `{pubsub b}`, a service, are of the second domain. `{$x}` takes any
//! value the first time and must be the same afterwards. `{error cancel item-not-found}` is the error of a
//! stanza, `{stream-error conflict}` that of a stream, `{plain romeo}` the message with which the account
//! logs in. In what is received, attributes that are not written are free, one with the value `{none}` must
//! not be there, and `…` matches any further content. `<r/>` of stream management is passed over where it is
//! not expected.
//!
//! | module | owns |
//! |---|---|
//! | [`story`] | the steps of a script |
//! | [`player`] | doing them |
//! | [`client`] | one scripted client on a socket |
//! | [`compare`] | XML compared as XML |
//! | [`websocket`] | its frames, where it speaks over a WebSocket |
//! | [`http`] | requests of HTTP |
//! | [`tls`] | TLS that trusts everybody |
//! | [`names`] | a name server on loopback |

pub mod client;
pub mod compare;
pub mod http;
pub mod names;
pub mod player;
pub mod story;
pub mod tls;
pub mod websocket;

pub use client::{Client, Login};
pub use player::{Player, Town};
pub use story::{Fate, Step, Story};
