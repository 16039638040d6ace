//! Known exchanges, played as server and as client, and what a server must refuse.

use super::keys::Keys;
use super::server::{Challenged, Named, ScramServer};
use super::*;
use crate::{ChannelBinding, Failure, Offer, Terms, encoding};

/// One whole exchange without surprises.
struct Vector {
    hash: Hash,
    username: &'static str,
    password: &'static str,
    salt: &'static str,
    client_nonce: &'static str,
    server_nonce: &'static str,
    binding: Option<&'static str>,
    first: &'static str,
    challenge: &'static str,
    last: &'static str,
    success: &'static str,
}

/// RFC 5802 §5; RFC 7677 §3; the same with SHA-512; RFC 6120 §9.1.2; XEP-0474 §6.3 (whose client
/// sends an extension that no server knows).
const VECTORS: [Vector; 5] = [
    Vector {
        hash: Hash::Sha1,
        username: "user",
        password: "pencil",
        salt: "QSXCR+Q6sek8bf92",
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        binding: None,
        first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        challenge: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        last: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
               p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        success: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    Vector {
        hash: Hash::Sha256,
        username: "user",
        password: "pencil",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        binding: None,
        first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        challenge: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        last: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
               p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        success: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
    Vector {
        hash: Hash::Sha512,
        username: "user",
        password: "pencil",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        binding: None,
        first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        challenge: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        last: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
               p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTx\
               wnYPJQ==",
        success: "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RV\
                  G2rR7N7Zw==",
    },
    Vector {
        hash: Hash::Sha1,
        username: "juliet",
        password: "r0m30myr0m30",
        salt: "NjhkYTM0MDgtNGY0Zi00NjdmLTkxMmUtNDlmNTNmNDNkMDMz",
        client_nonce: "oMsTAAwAAAAMAAAANP0TAAAAAABPU0AA",
        server_nonce: "e124695b-69a9-4de6-9c30-b51b3808c59e",
        binding: None,
        first: "n,,n=juliet,r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AA",
        challenge: "r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AAe124695b-69a9-4de6-9c30-b51b3808c59e,\
                    s=NjhkYTM0MDgtNGY0Zi00NjdmLTkxMmUtNDlmNTNmNDNkMDMz,i=4096",
        last: "c=biws,r=oMsTAAwAAAAMAAAANP0TAAAAAABPU0AAe124695b-69a9-4de6-9c30-b51b3808c59e,\
               p=UA57tM/SvpATBkH2FXs0WDXvJYw=",
        success: "v=pNNDFVEQxuXxCoSEiW8GEZ+1RSo=",
    },
    Vector {
        hash: Hash::Sha1,
        username: "user",
        password: "pencil",
        salt: "QSXCR+Q6sek8bf92",
        client_nonce: "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6",
        server_nonce: "a09117a6-ac50-4f2f-93f1-93799c2bddf6",
        binding: Some("THIS IS FAKE CB DATA"),
        first: "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6",
        challenge: "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
                    s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=",
        last: "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,\
               r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
               x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
        success: "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=",
    },
];

const EXPORTER: &[u8] = b"exported keying material";
const END_POINT: &[u8] = b"hash of a certificate";

impl Vector {
    fn keys(&self) -> Keys {
        let salt = encoding::decode(self.salt).expect("base64");
        Keys::derive(self.hash, self.password, &salt, 4096)
    }

    fn client(&self) -> ScramClient {
        let binding = match self.binding {
            Some(data) => ClientBinding::Used(ChannelBinding::TlsExporter(data.into())),
            None => ClientBinding::Unsupported,
        };
        ScramClient::new(self.hash, self.username, self.password, self.client_nonce, binding)
            .expect("names and passwords of the vectors are plain")
    }

    /// The state after the client's first message, with the challenge as the vector has it.
    fn named(&self) -> Named {
        let bindings = self.binding.map(|data| ChannelBinding::TlsExporter(data.into()));
        let offer = Offer::new(Terms {
            tls: true,
            bindings: bindings.into_iter().collect(),
            ..Terms::default()
        });
        let server = ScramServer { hash: self.hash, plus: self.binding.is_some() };
        let named = server.client_first(self.first.as_bytes(), &offer).expect("a good message");
        let hash = self.challenge.split_once(",h=").map(|(_, hash)| hash.to_owned());
        named.with_downgrade_hash(hash)
    }
}

#[test]
fn the_server_plays_the_known_exchanges() {
    for vector in &VECTORS {
        let named = vector.named();
        assert_eq!(named.claim().authcid, vector.username);
        let (challenged, challenge) = named.challenge(vector.keys(), vector.server_nonce);
        assert_eq!(text(challenge), vector.challenge);
        let success = challenged.client_final(vector.last.as_bytes());
        assert_eq!(success.map(text).as_deref(), Ok(vector.success));
    }
}

#[test]
fn the_client_plays_the_known_exchanges() {
    for vector in VECTORS.iter().filter(|vector| !vector.last.contains(",x=")) {
        let mut client = vector.client();
        assert_eq!(text(client.first()), vector.first);
        let last = client.answer(vector.challenge.as_bytes());
        assert_eq!(last.map(text).as_deref(), Ok(vector.last));
        assert_eq!(client.verify(vector.success.as_bytes()), Ok(()));
    }
}

// XEP-0515 §4.3: the challenge carries an extension that the client does not know.
#[test]
fn the_client_binds_to_the_channel_and_ignores_unknown_extensions() {
    let mut client = VECTORS[4].client();
    let challenge = format!("{},t=0304", VECTORS[4].challenge);
    let last = client.answer(challenge.as_bytes()).map(text).expect("a good challenge");
    assert!(last.ends_with(",p=KHUfN8dSy1K95crT4D5y1ItLJfs="), "{last}");
    assert_eq!(client.verify(b"v=3w34ZIMVRkx2f2Ozb3/ecRPVdv4="), Ok(()));
}

#[test]
fn keys_kept_by_the_client_serve_again() {
    let vector = &VECTORS[1];
    let mut first = vector.client();
    first.answer(vector.challenge.as_bytes()).expect("a good challenge");
    let keys = first.keys().expect("derived by now").clone();
    let mut second = vector.client().with_keys(keys.clone());
    let last = second.answer(vector.challenge.as_bytes());
    assert_eq!(last.map(text).as_deref(), Ok(vector.last));

    let mut other_salt = VECTORS[0].client().with_keys(keys);
    let last = other_salt.answer(VECTORS[0].challenge.as_bytes());
    assert_eq!(last.map(text).as_deref(), Ok(VECTORS[0].last));
}

/// An offer with both kinds of channel binding.
fn full_offer() -> Offer {
    let bindings = vec![
        ChannelBinding::TlsExporter(EXPORTER.into()),
        ChannelBinding::TlsServerEndPoint(END_POINT.into()),
    ];
    Offer::new(Terms { tls: true, downgrade_hash: true, bindings, ..Terms::default() })
}

fn challenged(first: &[u8]) -> (Challenged, Vec<u8>) {
    let server = ScramServer { hash: Hash::Sha256, plus: true };
    let named = server.client_first(first, &full_offer()).expect("a good message");
    named.challenge(Keys::derive(Hash::Sha256, "pencil", b"salt", 2), "server")
}

fn bound_client(channel: ChannelBinding) -> ScramClient {
    let binding = ClientBinding::Used(channel);
    ScramClient::new(Hash::Sha256, "user", "pencil", "client", binding).expect("a plain name")
}

#[test]
fn client_and_server_agree_on_either_channel_binding() {
    let channels = [
        ChannelBinding::TlsExporter(EXPORTER.into()),
        ChannelBinding::TlsServerEndPoint(END_POINT.into()),
    ];
    for channel in channels {
        let mut client = bound_client(channel).with_authzid("a,b=c");
        let (server, challenge) = challenged(&client.first());
        let last = client.answer(&challenge).expect("a good challenge");
        let success = server.client_final(&last).expect("a good proof");
        assert_eq!(client.verify(&success), Ok(()));
    }
}

#[test]
fn other_channel_binding_data_is_refused() {
    let channels = [
        ChannelBinding::TlsExporter(END_POINT.into()),
        ChannelBinding::TlsServerEndPoint(EXPORTER.into()),
        ChannelBinding::TlsExporter(Vec::new()),
    ];
    for channel in channels {
        let mut client = bound_client(channel);
        let (server, challenge) = challenged(&client.first());
        let last = client.answer(&challenge).expect("a good challenge");
        assert_eq!(server.client_final(&last), Err(Failure::NotAuthorized));
    }
}

#[test]
fn the_flag_must_fit_the_mechanism_and_the_offer() {
    use Failure::{MalformedRequest, NotAuthorized};
    let bare = Offer::new(Terms { tls: true, ..Terms::default() });
    let bound = full_offer();
    let table = [
        ("n", false, &bare, None),
        ("y", false, &bare, None),
        ("n", false, &bound, None),
        ("y", false, &bound, Some(NotAuthorized)),
        ("n", true, &bound, Some(MalformedRequest)),
        ("y", true, &bound, Some(MalformedRequest)),
        ("p=tls-exporter", true, &bound, None),
        ("p=tls-server-end-point", true, &bound, None),
        ("p=tls-unique", true, &bound, Some(NotAuthorized)),
        ("p=TLS-EXPORTER", true, &bound, Some(NotAuthorized)),
        ("p=tls-exporter", true, &bare, Some(NotAuthorized)),
        ("p=tls-exporter", false, &bound, Some(MalformedRequest)),
        ("p=", true, &bound, Some(MalformedRequest)),
        ("p", true, &bound, Some(MalformedRequest)),
        ("p=tls exporter", true, &bound, Some(MalformedRequest)),
    ];
    for (flag, plus, offer, failure) in table {
        let message = format!("{flag},,n=user,r=nonce");
        let outcome =
            ScramServer { hash: Hash::Sha1, plus }.client_first(message.as_bytes(), offer);
        assert_eq!(outcome.err(), failure, "{flag} {plus}");
    }
}

#[test]
fn a_last_message_that_was_tampered_with_is_refused() {
    let vector = &VECTORS[1];
    let alterations: [(&str, &str); 9] = [
        ("c=biws", "c=eSws"),
        ("c=biws", "c=biwsAA=="),
        ("c=biws", "c=!"),
        ("r=rOpr", "r=rOpq"),
        ("hNlF$k0", "hNlF$k"),
        ("hNlF$k0", "hNlF$k00"),
        ("hNlF$k0,", "hNlF$k0,x=y,"),
        ("p=dHzb", "p=dHzc"),
        ("AndVQ=", "AndVQAA"),
    ];
    for (from, to) in alterations {
        let last = vector.last.replace(from, to);
        assert_ne!(last, vector.last);
        let (server, _) = vector.named().challenge(vector.keys(), vector.server_nonce);
        let outcome = server.client_final(last.as_bytes());
        assert!(
            matches!(outcome, Err(Failure::NotAuthorized | Failure::MalformedRequest)),
            "{from} -> {to}: {outcome:?}"
        );
    }
}

#[test]
fn a_proof_of_another_length_is_refused() {
    let vector = &VECTORS[1];
    let (start, proof) = vector.last.split_once(",p=").expect("a proof");
    let proof = encoding::decode(proof).expect("base64");
    let others =
        [vec![0], proof[..31].to_vec(), [&proof[..], &[0]].concat(), vec![0; 20], vec![0; 4000]];
    for other in others {
        let last = format!("{start},p={}", encoding::encode(&other));
        let (server, _) = vector.named().challenge(vector.keys(), vector.server_nonce);
        assert_eq!(server.client_final(last.as_bytes()), Err(Failure::NotAuthorized));
    }
}

#[test]
fn an_exchange_recorded_earlier_cannot_be_replayed() {
    let vector = &VECTORS[0];
    let (server, _) = vector.named().challenge(vector.keys(), "another-nonce");
    assert_eq!(server.client_final(vector.last.as_bytes()), Err(Failure::NotAuthorized));
}

#[test]
fn a_good_proof_over_another_nonce_is_refused() {
    let vector = &VECTORS[1];
    let salt = encoding::decode(vector.salt).expect("base64");
    let salted = vector.hash.salted_password(vector.password, &salt, 4096);
    let client_key = keys::client_key(vector.hash, &salted);
    let stored_key = vector.hash.digest(&client_key);
    let (bare, own) = ("n=user,r=rOprNGfwEbeRWgbNEkqO", "rOprNGfwEbeRWgbNEkqO");
    let full = format!("{own}{}", vector.server_nonce);
    for (nonce, good) in [(full.as_str(), true), (own, false), ("x", false)] {
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{bare},{},{without_proof}", vector.challenge);
        let signature = vector.hash.hmac(&stored_key, &[message.as_bytes()]);
        let proof = encoding::encode(&hash::xor(&client_key, &signature));
        let (server, _) = vector.named().challenge(vector.keys(), vector.server_nonce);
        let outcome = server.client_final(format!("{without_proof},p={proof}").as_bytes());
        assert_eq!(outcome.is_ok(), good, "{nonce}");
    }
}

#[test]
fn the_client_refuses_a_server_that_breaks_the_protocol() {
    let malformed = ScramError::Malformed(Failure::MalformedRequest);
    let table = [
        ("", malformed),
        ("r=client-server,s=c2FsdA==", malformed),
        ("r=client-server,s=,i=4096", malformed),
        ("r=client-server,s=c2FsdA,i=4096", malformed),
        ("r=client-server,s=c2FsdA==,i=0", malformed),
        ("r=client-server,s=c2FsdA==,i=04096", malformed),
        ("r=client-server,s=c2FsdA==,i=+4096", malformed),
        ("r=client-server,s=c2FsdA==,i=99999999999", malformed),
        ("m=x,r=client-server,s=c2FsdA==,i=4096", malformed),
        ("r=client-server,s=c2FsdA==,i=4096,m=x", malformed),
        ("s=c2FsdA==,r=client-server,i=4096", malformed),
        ("r=client,s=c2FsdA==,i=4096", ScramError::Nonce),
        ("r=cliemt-server,s=c2FsdA==,i=4096", ScramError::Nonce),
        ("r=client-server,s=c2FsdA==,i=10000001", ScramError::Iterations(10_000_001)),
        ("r=client-server,s=c2FsdA==,i=1,h=other", ScramError::Downgraded),
    ];
    for (challenge, error) in table {
        let client = bound_client(ChannelBinding::TlsExporter(EXPORTER.into()));
        let mut client = client.with_downgrade_hash("expected".to_owned());
        assert_eq!(client.answer(challenge.as_bytes()), Err(error), "{challenge}");
    }
}

#[test]
fn the_client_refuses_a_server_without_proof() {
    let vector = &VECTORS[0];
    let mut client = vector.client();
    assert_eq!(client.verify(b"v="), Err(ScramError::Malformed(Failure::MalformedRequest)));
    assert_eq!(client.verify(b"v=AAAA"), Err(ScramError::Server));
    client.answer(vector.challenge.as_bytes()).expect("a good challenge");
    assert_eq!(client.verify(b"v=AAAA"), Err(ScramError::Server));
    assert_eq!(client.verify(b"e=other-error"), Err(ScramError::Malformed(Failure::NotAuthorized)));
    assert_eq!(client.verify(vector.success.as_bytes()), Ok(()));
}

fn text(message: Vec<u8>) -> String {
    String::from_utf8(message).expect("SCRAM is text")
}
