//! Members that find each other by one name, of which every address is a member's.

use std::net::Ipv4Addr;

use town::names::NameServer;

use super::quarters::{Quarters, status, until, until_acts};
use crate::redis::{fixture, redis};

/// A name that the plan of no test has.
const NAME: &str = "rookery.chat.svc";

#[test]
fn members_find_each_other_by_a_name_of_which_every_address_is_a_members() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let names = NameServer::start().unwrap();
    let quarters = Quarters::by_name(3, NAME, names.address());
    let address = |number: u8| Ipv4Addr::new(127, 0, 0, number);
    // A headless service names a pod when it has an address: one after the other.
    names.set(NAME, &[address(1)]);
    let starting: Vec<_> = (1..=3).map(|number| quarters.start(number, &store)).collect();
    until("the first one's turn", || quarters.listens(1));
    names.set(NAME, &[address(1), address(2)]);
    names.set(NAME, &[address(1), address(2), address(3)]);
    let stages: Vec<_> = starting.into_iter().map(|starting| starting.join().unwrap()).collect();
    for stage in &stages {
        until_acts(stage);
        assert_eq!(status(stage).members.len(), 3);
        assert_eq!(status(stage).cluster, status(&stages[0]).cluster);
    }
}
