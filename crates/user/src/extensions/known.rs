//! Owns what of an account's nodes is a matter of clients alone, so that an account only says that it knows it: nicknames,
//! cards, keys, and how public and private data are kept.

use entity::Extension;

use crate::User;

/// XEP-0172 User Nickname: on a node of its own.
pub(crate) const NICK: Extension<User> =
    Extension { number: "0172", title: "User Nickname", version: "1.1", ..Extension::NONE };

/// XEP-0222 Persistent Storage of Public Data via PubSub: with preconditions of publishing.
pub(crate) const PUBLIC: Extension<User> = Extension {
    number: "0222",
    title: "Persistent Storage of Public Data via PubSub",
    version: "1.0",
    ..Extension::NONE
};

/// XEP-0223 Persistent Storage of Private Data via PubSub: with preconditions of publishing.
pub(crate) const PRIVATE: Extension<User> = Extension {
    number: "0223",
    title: "Persistent Storage of Private Data via PubSub",
    version: "1.1.1",
    ..Extension::NONE
};

/// XEP-0292 vCard4 Over XMPP: on the node `urn:xmpp:vcard4`.
pub(crate) const VCARD4: Extension<User> =
    Extension { number: "0292", title: "vCard4 Over XMPP", version: "0.12.0", ..Extension::NONE };

/// XEP-0384 OMEMO Encryption: device lists and bundles, which everybody may read, many items to a node.
pub(crate) const OMEMO: Extension<User> =
    Extension { number: "0384", title: "OMEMO Encryption", version: "0.9.1", ..Extension::NONE };
