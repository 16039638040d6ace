//! XEP-0115 Entity Capabilities, version 1.6.0: the hash of what the server can do, for its stream
//! features (§6.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entity::Extension;
use sha1::{Digest, Sha1};
use stream::features::{Caps, Features};
use xmpp::disco::Info;
use xmpp::ns;

use crate::extensions::disco::of_server;
use crate::{Domain, Shared};

/// Capabilities of the server.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0115",
    title: "Entity Capabilities",
    version: "1.6.0",
    features: &[ns::CAPS],
    ..Extension::NONE
};

/// What identifies the software.
const NODE: &str = "urn:rookery";

/// What every stream is offered because of what the server can do (RFC 6120 §4.3.2); it changes only with
/// the configuration. Where components answer in the server's place, what it can do changes with them, so there is no hash.
#[must_use]
pub fn stream_features(shared: &Shared) -> Features {
    Features {
        session: true,
        sm: true,
        csi: true,
        carbons: true,
        roster_versioning: true,
        pre_approval: true,
        caps: (!shared.powers.delegates()).then(|| caps(shared)),
        ..Features::default()
    }
}

/// The capabilities of the server; the hash is SHA-1 (§9.1).
pub(crate) fn caps(shared: &Shared) -> Caps {
    Caps { node: NODE.to_owned(), ver: verification(&of_server(shared)) }
}

/// Whether a disco node is that of these capabilities.
pub(super) fn is_node(node: &str, info: &Info) -> bool {
    node.strip_prefix(NODE)
        .and_then(|rest| rest.strip_prefix('#'))
        .is_some_and(|ver| ver == verification(info))
}

/// §5.1. All sorting is by octets.
fn verification(info: &Info) -> String {
    STANDARD.encode(Sha1::digest(info.caps().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use xmpp::disco::Identity;
    use xmpp::forms::{Field, FieldType, Form, FormKind};

    use super::*;

    fn identity(lang: &str, name: &str) -> Identity {
        Identity {
            category: "client".into(),
            ty: "pc".into(),
            lang: lang.into(),
            name: name.into(),
        }
    }

    fn features() -> Vec<String> {
        [ns::MUC, ns::CAPS, ns::DISCO_ITEMS, ns::DISCO_INFO].map(str::to_owned).to_vec()
    }

    #[test]
    fn the_simple_example_of_section_5_2_has_its_hash() {
        let identities = vec![identity("", "Exodus 0.9.1")];
        let info = Info { identities, features: features(), ..Info::default() };
        assert_eq!(verification(&info), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }

    #[test]
    fn the_complex_example_of_section_5_3_has_its_hash() {
        let field = |var: &str, values: &[&str]| {
            Field::new(FieldType::TextSingle, var).with_values(values.iter().copied())
        };
        let form = Form::new(FormKind::Result, "urn:xmpp:dataforms:softwareinfo")
            .with(field("software", &["Psi"]))
            .with(field("ip_version", &["ipv6", "ipv4"]))
            .with(field("os", &["Mac"]))
            .with(field("software_version", &["0.11"]))
            .with(field("os_version", &["10.5.1"]));
        let info = Info {
            identities: vec![identity("en", "Psi 0.11"), identity("el", "Ψ 0.11")],
            features: features(),
            forms: vec![form],
            ..Info::default()
        };
        assert_eq!(verification(&info), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }

    #[test]
    fn what_accounts_can_do_changes_the_hash() {
        let some = caps(&Shared::default());
        let more = caps(&Shared { features: vec![ns::CARBONS], ..Shared::default() });
        assert_ne!(some, more);
        assert_eq!(some.node, more.node);
    }
}
