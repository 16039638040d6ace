//! Owns the settings of proxies.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Settings of proxies for bytestreams.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address of a domain's service. Default `proxy.{domain}`.
    pub service: String,
    /// Where clients bring bytes. Default: nowhere, and there is no service; the usual port is 5000.
    pub listen: Vec<SocketAddr>,
    /// The name or address of this member by which clients reach it. Default: that of `cluster.advertise`, or of
    /// `listen`, or the domain.
    pub host: String,
    /// Most connections at a time. Default 1,000.
    pub connections: usize,
    /// Most connections from one address that do not carry anything yet. Default 32.
    pub waiting_per_address: usize,
    /// Most bytestreams of an account at a time. Default 10.
    pub streams_per_account: usize,
    /// Bytes a second of one bytestream in one direction. Default 4 MiB.
    pub bytes_per_second: u32,
    /// Bytes a second of all bytestreams together. Default 32 MiB.
    pub bytes_per_second_of_all: u32,
    /// For so long both clients may wait before they begin, seconds. Default 60.
    pub begin_seconds: u64,
    /// For so long nothing may come, seconds. Default 300.
    pub idle_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            service: "proxy.{domain}".to_owned(),
            listen: Vec::new(),
            host: String::new(),
            connections: 1_000,
            waiting_per_address: 32,
            streams_per_account: 10,
            bytes_per_second: 4 << 20,
            bytes_per_second_of_all: 32 << 20,
            begin_seconds: 60,
            idle_seconds: 300,
        }
    }
}
