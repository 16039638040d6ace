//! Owns the namespace names, one constant each, and nothing else.

#![expect(missing_docs, reason = "each constant is named by the word of its specification")]

/// No namespace at all. Written as `xmlns=''`, which no canonical bytes use for anything else; the empty string
/// stands for the content namespace everywhere, so this name is one that no XML can hold.
pub const NONE: &str = "\u{0}";

// RFC 6120
pub const CLIENT: &str = "jabber:client";
pub const SERVER: &str = "jabber:server";
pub const STREAM: &str = "http://etherx.jabber.org/streams";
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
pub const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

// RFC 6121
pub const ROSTER: &str = "jabber:iq:roster";
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";

// Components (XEP-0114)
pub const COMPONENT_ACCEPT: &str = "jabber:component:accept";
pub const COMPONENT_CONNECT: &str = "jabber:component:connect";

// Extensions, by number
pub const DATA_FORMS: &str = "jabber:x:data"; // XEP-0004
pub const VALIDATE: &str = "http://jabber.org/protocol/xdata-validate"; // XEP-0122
pub const LAST: &str = "jabber:iq:last"; // XEP-0012
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info"; // XEP-0030
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items"; // XEP-0030
pub const MUC: &str = "http://jabber.org/protocol/muc"; // XEP-0045
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user"; // XEP-0045
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin"; // XEP-0045
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner"; // XEP-0045
pub const MUC_CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig"; // XEP-0045
pub const MUC_INFO: &str = "http://jabber.org/protocol/muc#roominfo"; // XEP-0045
pub const MUC_REQUEST: &str = "http://jabber.org/protocol/muc#request"; // XEP-0045
pub const MUC_REGISTER: &str = "http://jabber.org/protocol/muc#register"; // XEP-0045
pub const MUC_STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id"; // XEP-0045
pub const MUC_TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic"; // XEP-0045
pub const MUCSUB: &str = "urn:xmpp:mucsub:0"; // MUC/Sub, ejabberd's
pub const BOOKMARKS_OLD: &str = "storage:bookmarks"; // XEP-0048
pub const PRIVATE: &str = "jabber:iq:private"; // XEP-0049
pub const COMMANDS: &str = "http://jabber.org/protocol/commands"; // XEP-0050
pub const VCARD: &str = "vcard-temp"; // XEP-0054
pub const RSM: &str = "http://jabber.org/protocol/rsm"; // XEP-0059
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub"; // XEP-0060
pub const PUBSUB_AUTHORIZATION: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization"; // XEP-0060
pub const PUBSUB_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config"; // XEP-0060
pub const PUBSUB_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors"; // XEP-0060
pub const PUBSUB_META: &str = "http://jabber.org/protocol/pubsub#meta-data"; // XEP-0060
pub const PUBSUB_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options"; // XEP-0060
pub const PUBSUB_OPTIONS_OF_SUBSCRIPTION: &str =
    "http://jabber.org/protocol/pubsub#subscribe_options"; // XEP-0060
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner"; // XEP-0060
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event"; // XEP-0060
pub const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams"; // XEP-0065
pub const AVATAR_DATA: &str = "urn:xmpp:avatar:data"; // XEP-0084
pub const AVATAR_METADATA: &str = "urn:xmpp:avatar:metadata"; // XEP-0084
pub const PARS: &str = "urn:xmpp:pars:0"; // XEP-0379
pub const REGISTER: &str = "jabber:iq:register"; // XEP-0077
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates"; // XEP-0085
pub const VERSION: &str = "jabber:iq:version"; // XEP-0092
pub const CAPS: &str = "http://jabber.org/protocol/caps"; // XEP-0115
pub const VCARD_UPDATE: &str = "vcard-temp:x:update"; // XEP-0153
pub const OFFLINE_FEATURE: &str = "msgoffline"; // XEP-0160
pub const RECEIPTS: &str = "urn:xmpp:receipts"; // XEP-0184
pub const BLOCKING: &str = "urn:xmpp:blocking"; // XEP-0191
pub const BLOCKING_ERRORS: &str = "urn:xmpp:blocking:errors"; // XEP-0191
pub const SM: &str = "urn:xmpp:sm:3"; // XEP-0198
pub const PRIVILEGE: &str = "urn:xmpp:privilege:2"; // XEP-0356
pub const DELEGATION: &str = "urn:xmpp:delegation:2"; // XEP-0355
pub const PING: &str = "urn:xmpp:ping"; // XEP-0199
pub const TIME: &str = "urn:xmpp:time"; // XEP-0202
pub const DELAY: &str = "urn:xmpp:delay"; // XEP-0203
pub const EXTERNAL_SERVICES: &str = "urn:xmpp:extdisco:2"; // XEP-0215
pub const CONFERENCE: &str = "jabber:x:conference"; // XEP-0249
pub const CARBONS: &str = "urn:xmpp:carbons:2"; // XEP-0280
pub const FORWARD: &str = "urn:xmpp:forward:0"; // XEP-0297
pub const MAM: &str = "urn:xmpp:mam:2"; // XEP-0313
pub const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended"; // XEP-0313
pub const MAM_GROUPCHAT: &str = "urn:xmpp:mam:2#groupchat-field"; // XEP-0313
pub const HATS: &str = "urn:xmpp:hats:0"; // XEP-0317
pub const HATS_COMMANDS: &str = "urn:xmpp:hats:commands"; // XEP-0317
pub const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0"; // XEP-0333
pub const HINTS: &str = "urn:xmpp:hints"; // XEP-0334
pub const CSI: &str = "urn:xmpp:csi:0"; // XEP-0352
pub const JINGLE_MESSAGE: &str = "urn:xmpp:jingle-message:0"; // XEP-0353
pub const PUSH: &str = "urn:xmpp:push:0"; // XEP-0357
pub const PUSH_SUMMARY: &str = "urn:xmpp:push:summary"; // XEP-0357
pub const UPLOAD: &str = "urn:xmpp:http:upload:0"; // XEP-0363
pub const UPLOAD_PURPOSE: &str = "urn:xmpp:http:upload:purpose:0"; // XEP-0363
pub const REPORTING: &str = "urn:xmpp:reporting:1"; // XEP-0377
pub const STANZA_ID: &str = "urn:xmpp:sid:0"; // XEP-0359
pub const CAPS2: &str = "urn:xmpp:caps"; // XEP-0390
pub const AVATAR_CONVERSION: &str = "urn:xmpp:pep-vcard-conversion:0"; // XEP-0398
pub const BOOKMARKS: &str = "urn:xmpp:bookmarks:1"; // XEP-0402
pub const SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization"; // XEP-0410
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0"; // XEP-0421
pub const RETRACT: &str = "urn:xmpp:message-retract:1"; // XEP-0424
pub const TOMBSTONE: &str = "urn:xmpp:message-retract:1#tombstone"; // XEP-0424
pub const MODERATE: &str = "urn:xmpp:message-moderate:1"; // XEP-0425
pub const DISPLAYED: &str = "urn:xmpp:mds:displayed:0"; // XEP-0490
pub const AFFILIATIONS: &str = "urn:xmpp:muc:affiliations:1"; // XEP-0463
pub const EME: &str = "urn:xmpp:eme:0"; // XEP-0380
pub const CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0"; // XEP-0440
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0"; // XEP-0478
