//! Attack 38: whoever does not know a component's secret tries many, and keeps nobody away with that.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::federation::program::Program;
use crate::stage::{Stage, free};

const GUESSERS: usize = 8;
const RUN: Duration = Duration::from_secs(4);

#[test]
fn guessing_a_components_secret_is_slow_and_the_rightful_one_connects_meanwhile() {
    let address = free();
    let stage = Stage::start(&format!(
        "[listen]\ncomponent = ['{address}']\n[[component]]\nname = 'irc.localhost'\nsecret = 'secret'\n"
    ));
    let (over, tried) = (AtomicBool::new(false), AtomicUsize::new(0));
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..GUESSERS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut guess = Program::dial(address, "irc.localhost");
                    guess.prove("guess");
                    assert_eq!(guess.ends_with(), "not-authorized");
                    tried.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut count = 0;
        while began.elapsed() < RUN {
            let mut rightful = Program::connect(address, "irc.localhost");
            rightful.say("<iq from='irc.localhost' to='localhost' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
            assert_eq!(rightful.hears().head().id.as_deref(), Some("p"));
            count += 1;
        }
        over.store(true, Ordering::Relaxed);
        assert!(count > 0);
    });
    let most = began.elapsed().as_millis() / 100 + 1;
    let tried = tried.load(Ordering::Relaxed);
    assert!(
        tried > 0 && tried as u128 <= most,
        "{tried} tries, but no more than {most} are allowed"
    );
    let shown = stage.log.lock().unwrap().contains("secret=");
    assert!(!shown, "secrets are not logged");
}

#[test]
fn strange_first_bytes_end_in_an_error_and_nothing_is_taken() {
    let address = free();
    let _stage = Stage::start(&format!(
        "[listen]\ncomponent = ['{address}']\n[[component]]\nname = 'irc.localhost'\nsecret = 'secret'\n"
    ));
    use std::io::{Read, Write};
    let doctype = "<!DOCTYPE x [<!ENTITY a 'b'>]><x/>";
    let long =
        format!("<stream:stream xmlns='jabber:component:accept' to='{}", "a".repeat(64 << 10));
    let clients = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='irc.localhost'>";
    for (bytes, wanted) in [
        ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        (doctype, "restricted-xml"),
        (long.as_str(), "policy-violation"),
        (clients, "invalid-namespace"),
    ] {
        let mut tcp = std::net::TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // It may be closed before all is written.
        drop(tcp.write_all(bytes.as_bytes()));
        let mut said = Vec::new();
        drop(tcp.read_to_end(&mut said));
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(wanted), "{bytes:.40}: {said}");
    }
}
