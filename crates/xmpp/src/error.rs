//! Owns stanza errors (RFC 6120 §8.3) and stream errors (RFC 6120 §4.9).

use crate::{Element, ns};

/// A stanza error: a normal answer, never a fault of machinery (RFC 6120 §8.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub ty: ErrorType,
    /// The defined condition.
    pub condition: StanzaCondition,
    /// Words for people, in English.
    pub text: Option<String>,
    /// A condition of the application (RFC 6120 §8.3.4).
    pub detail: Option<Box<Element>>,
    /// What stands before the `<error/>` (RFC 6120 §8.3.1), where an extension says which part of a request was wrong.
    pub payload: Option<Box<Element>>,
}

/// The `type` of a stanza error (RFC 6120 §8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed: a warning.
    Continue,
    /// Retry after changing the data sent.
    Modify,
    /// Retry after waiting.
    Wait,
}

impl ErrorType {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }
}

/// Makes an enum of conditions with their element names: 22 and 25 names are too many to keep in two places.
macro_rules! conditions {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// The name of the condition's element.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Every condition.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }
    };
}

conditions! {
    /// The defined conditions of RFC 6120 §8.3.3.
    StanzaCondition {
        /// §8.3.3.1
        BadRequest = "bad-request",
        /// §8.3.3.2
        Conflict = "conflict",
        /// §8.3.3.3
        FeatureNotImplemented = "feature-not-implemented",
        /// §8.3.3.4
        Forbidden = "forbidden",
        /// §8.3.3.5
        Gone = "gone",
        /// §8.3.3.6
        InternalServerError = "internal-server-error",
        /// §8.3.3.7
        ItemNotFound = "item-not-found",
        /// §8.3.3.8
        JidMalformed = "jid-malformed",
        /// §8.3.3.9
        NotAcceptable = "not-acceptable",
        /// §8.3.3.10
        NotAllowed = "not-allowed",
        /// §8.3.3.11
        NotAuthorized = "not-authorized",
        /// §8.3.3.12
        PolicyViolation = "policy-violation",
        /// §8.3.3.13
        RecipientUnavailable = "recipient-unavailable",
        /// §8.3.3.14
        Redirect = "redirect",
        /// §8.3.3.15
        RegistrationRequired = "registration-required",
        /// §8.3.3.16
        RemoteServerNotFound = "remote-server-not-found",
        /// §8.3.3.17
        RemoteServerTimeout = "remote-server-timeout",
        /// §8.3.3.18
        ResourceConstraint = "resource-constraint",
        /// §8.3.3.19
        ServiceUnavailable = "service-unavailable",
        /// §8.3.3.20
        SubscriptionRequired = "subscription-required",
        /// §8.3.3.21
        UndefinedCondition = "undefined-condition",
        /// §8.3.3.22
        UnexpectedRequest = "unexpected-request",
    }
}

impl StanzaCondition {
    /// The type that RFC 6120 §8.3.3 associates with the condition.
    pub fn default_type(self) -> ErrorType {
        match self {
            Self::BadRequest
            | Self::JidMalformed
            | Self::NotAcceptable
            | Self::PolicyViolation
            | Self::Redirect => ErrorType::Modify,
            Self::Forbidden
            | Self::NotAuthorized
            | Self::RegistrationRequired
            | Self::SubscriptionRequired => ErrorType::Auth,
            Self::RecipientUnavailable
            | Self::RemoteServerTimeout
            | Self::ResourceConstraint
            | Self::UnexpectedRequest => ErrorType::Wait,
            _ => ErrorType::Cancel,
        }
    }
}

impl From<StanzaCondition> for StanzaError {
    fn from(condition: StanzaCondition) -> Self {
        Self { ty: condition.default_type(), condition, text: None, detail: None, payload: None }
    }
}

impl StanzaError {
    /// With words for people.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// With another type than the condition's usual one.
    #[must_use]
    pub fn with_type(mut self, ty: ErrorType) -> Self {
        self.ty = ty;
        self
    }

    /// With a condition of the application.
    #[must_use]
    pub fn with_detail(mut self, detail: Element) -> Self {
        self.detail = Some(Box::new(detail));
        self
    }

    /// With a payload before the `<error/>`.
    #[must_use]
    pub fn with_payload(mut self, payload: Element) -> Self {
        self.payload = Some(Box::new(payload));
        self
    }

    /// The `<error/>` element.
    pub fn to_element(&self) -> Element {
        let mut error = Element::new("error", "")
            .with_attr("type", self.ty.as_str())
            .with_child(Element::new(self.condition.name(), ns::STANZAS));
        if let Some(text) = &self.text {
            error.push(text_element(ns::STANZAS, text));
        }
        if let Some(detail) = &self.detail {
            error.push((**detail).clone());
        }
        error
    }
}

/// A stream error: the stream ends with it (RFC 6120 §4.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// The defined condition.
    pub condition: StreamCondition,
    /// Words for people, in English; the host for `see-other-host` (§4.9.3.19) goes into [`Self::host`].
    pub text: Option<String>,
    /// Where to go, for `see-other-host`.
    pub host: Option<String>,
    /// A condition of the application (RFC 6120 §4.9.4).
    pub detail: Option<Box<Element>>,
}

conditions! {
    /// The defined conditions of RFC 6120 §4.9.3.
    StreamCondition {
        /// §4.9.3.1
        BadFormat = "bad-format",
        /// §4.9.3.2
        BadNamespacePrefix = "bad-namespace-prefix",
        /// §4.9.3.3
        Conflict = "conflict",
        /// §4.9.3.4
        ConnectionTimeout = "connection-timeout",
        /// §4.9.3.5
        HostGone = "host-gone",
        /// §4.9.3.6
        HostUnknown = "host-unknown",
        /// §4.9.3.7
        ImproperAddressing = "improper-addressing",
        /// §4.9.3.8
        InternalServerError = "internal-server-error",
        /// §4.9.3.9
        InvalidFrom = "invalid-from",
        /// §4.9.3.10
        InvalidNamespace = "invalid-namespace",
        /// §4.9.3.11
        InvalidXml = "invalid-xml",
        /// §4.9.3.12
        NotAuthorized = "not-authorized",
        /// §4.9.3.13
        NotWellFormed = "not-well-formed",
        /// §4.9.3.14
        PolicyViolation = "policy-violation",
        /// §4.9.3.15
        RemoteConnectionFailed = "remote-connection-failed",
        /// §4.9.3.16
        Reset = "reset",
        /// §4.9.3.17
        ResourceConstraint = "resource-constraint",
        /// §4.9.3.18
        RestrictedXml = "restricted-xml",
        /// §4.9.3.19
        SeeOtherHost = "see-other-host",
        /// §4.9.3.20
        SystemShutdown = "system-shutdown",
        /// §4.9.3.21
        UndefinedCondition = "undefined-condition",
        /// §4.9.3.22
        UnsupportedEncoding = "unsupported-encoding",
        /// §4.9.3.23
        UnsupportedFeature = "unsupported-feature",
        /// §4.9.3.24
        UnsupportedStanzaType = "unsupported-stanza-type",
        /// §4.9.3.25
        UnsupportedVersion = "unsupported-version",
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self { condition, text: None, host: None, detail: None }
    }
}

impl StreamError {
    /// Another host serves this domain: a domain or an address, with a port or without (RFC 6120 §4.9.3.19).
    #[must_use]
    pub fn see_other_host(host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..StreamCondition::SeeOtherHost.into() }
    }

    /// With words for people.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// With a condition of the application.
    #[must_use]
    pub fn with_detail(mut self, detail: Element) -> Self {
        self.detail = Some(Box::new(detail));
        self
    }

    /// Appends `<stream:error>…</stream:error>`. The prefix `stream` is declared by every stream that this
    /// server opens (RFC 6120 §4.8.5); nothing else in the product writes a prefix.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<stream:error>");
        let condition = Element::new(self.condition.name(), ns::STREAMS);
        let condition = match &self.host {
            Some(host) => condition.with_text(host.clone()),
            None => condition,
        };
        condition.write(out, "");
        if let Some(text) = &self.text {
            text_element(ns::STREAMS, text).write(out, "");
        }
        if let Some(detail) = &self.detail {
            detail.write(out, "");
        }
        out.extend_from_slice(b"</stream:error>");
    }
}

fn text_element(ns: &'static str, text: &str) -> Element {
    Element::new("text", ns).with_attr_ns("lang", ns::XML, "en").with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_error_carries_type_condition_text_and_detail() {
        let error = StanzaError::from(StanzaCondition::NotAllowed)
            .with_text("no")
            .with_detail(Element::new("blocked", ns::BLOCKING_ERRORS));
        assert_eq!(
            String::from_utf8(error.to_element().to_bytes()).unwrap(),
            "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no</text>\
             <blocked xmlns='urn:xmpp:blocking:errors'/></error>"
        );
    }

    #[test]
    fn a_stream_error_is_written_with_the_stream_prefix() {
        let mut out = Vec::new();
        StreamError::from(StreamCondition::HostUnknown).write(&mut out);
        assert_eq!(
            out,
            b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        );
    }
}
