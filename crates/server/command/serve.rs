//! Owns `rookery serve`: start, say so, wait for signals, drain.

use std::io::Write;

use super::reload::{Source, reload};
use crate::config::Config;
use crate::signal::{Signal, Signals};
use crate::telemetry;
use crate::wiring::Server;

/// Serves until a signal says otherwise.
pub(super) fn run(config: Config, source: Source<'_>) -> anyhow::Result<()> {
    // Dropped last: what was traced is exported.
    let telemetry = telemetry::start(&config.telemetry)?;
    actix_rt::System::new().block_on(serve(config, &telemetry, source))
}

async fn serve(
    mut config: Config,
    telemetry: &telemetry::Running,
    source: Source<'_>,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    // It may wait for other members for long.
    let server = tokio::select! {
        server = Server::start(&config) => server?,
        () = stop_signal(&mut signals) => anyhow::bail!("stopped before it could serve"),
    };
    greet(&config, &server)?;
    let hangup = || reload((&server, telemetry), &mut config, source);
    serve_until_stopped(&server, &mut signals, hangup).await?;
    tracing::info!("draining; a second signal stops at once");
    tokio::select! {
        () = server.drain() => {}
        () = stop_signal(&mut signals) => tracing::warn!("stopped before everything was drained"),
    }
    Ok(())
}

async fn serve_until_stopped(
    server: &Server,
    signals: &mut Signals,
    mut reload: impl FnMut(),
) -> anyhow::Result<()> {
    let mut letting_go = std::pin::pin!(server.let_go_when_drained());
    let mut has_clients = true;
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            error = server.until_out() => return Err(error),
            () = &mut letting_go, if has_clients => {
                has_clients = false;
                continue;
            }
        };
        match signal {
            Signal::Stop => return Ok(()),
            Signal::Reload => reload(),
        }
    }
}

async fn stop_signal(signals: &mut Signals) {
    while signals.next().await != Signal::Stop {}
}

/// Where to connect and what to do first, for people; then `ready`, for programs.
fn greet(config: &Config, server: &Server) -> anyhow::Result<()> {
    let domains: Vec<&str> = config.domain.iter().map(|domain| domain.name.as_str()).collect();
    let list = |addresses: &mut dyn Iterator<Item = std::net::SocketAddr>| {
        addresses.map(|address| address.to_string()).collect::<Vec<_>>().join(", ")
    };
    let mut out = std::io::stderr().lock();
    writeln!(out, "Rookery {} serves {}", env!("CARGO_PKG_VERSION"), domains.join(", "))?;
    writeln!(out, "  clients      {} (STARTTLS)", list(&mut server.gate().c2s_addresses()))?;
    writeln!(out, "               {} (TLS)", list(&mut server.gate().c2s_tls_addresses()))?;
    writeln!(
        out,
        "  web          {} (HTTPS)",
        list(&mut server.https_addresses().iter().copied())
    )?;
    writeln!(out, "  health       {}", list(&mut server.http_addresses().iter().copied()))?;
    if let Some(others) = server.others() {
        writeln!(out, "  servers      {} (STARTTLS)", list(&mut others.addresses()))?;
        writeln!(out, "               {} (TLS)", list(&mut others.addresses_tls()))?;
    }
    if let Some(components) = server.components() {
        writeln!(out, "  components   {}", list(&mut components.addresses().iter().copied()))?;
    }
    if let Some(address) = server.members_address() {
        writeln!(out, "  members      {address}")?;
    }
    writeln!(out, "  data         {}", config.data_dir.display())?;
    let domain = domains.first().copied().unwrap_or("localhost");
    writeln!(out, "  add account  rookery account add NAME@{domain}")?;
    drop(out);
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    Ok(out.flush()?)
}
