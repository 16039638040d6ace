//! Bytestreams in a cluster: whichever member a client is at, the member that it is sent to is the one that carries.

use super::quarters::{Quarters, until_acts};
use crate::redis::{self, log_in};
use crate::stage::free;
use crate::xep::bytestreams::{carry, streamhost};

#[test]
fn the_member_that_a_client_is_sent_to_is_the_one_that_carries() {
    if !redis::fixture::is_there() {
        return;
    }
    let (_redis, store) = redis::redis();
    let quarters = Quarters::of(3, 3);
    let proxies = [free(), free(), free()];
    let config = |at| format!("{store}[proxy]\nlisten = ['{at}']\n");
    let starting: Vec<_> =
        (1..).zip(proxies).map(|(number, at)| quarters.start(number, &config(at))).collect();
    let stages: Vec<_> = starting.into_iter().map(|it| it.join().unwrap()).collect();
    stages.iter().for_each(until_acts);
    stages[0].add_accounts(&["romeo"]);
    let mut told = Vec::new();
    for stage in &stages {
        let mut romeo = log_in(stage, "romeo");
        let proxy = streamhost(&mut romeo);
        assert!(proxies.contains(&proxy), "{proxy}");
        told.push(proxy);
        carry(&mut romeo, proxy);
    }
    // Their account is at one member, wherever their clients are.
    assert!(told.iter().all(|proxy| *proxy == told[0]), "{told:?}");
}
