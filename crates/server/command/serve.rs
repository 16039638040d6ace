//! Owns `rookery serve`: start, say so, wait for signals, drain.

use std::io::Write;
use std::net::SocketAddr;

use super::reload::{Source, reload};
use crate::config::{Config, LogFormat};
use crate::signal::{Signal, Signals};
use crate::telemetry;
use crate::wiring::Server;

/// Serves until a signal says otherwise.
pub(super) fn run(config: Config, source: Source<'_>) -> anyhow::Result<()> {
    // Dropped last: what was traced is exported.
    let telemetry = telemetry::start(&config.telemetry, config.cluster.name.as_deref())?;
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
    let (version, lines) = (env!("CARGO_PKG_VERSION"), greeting(config, server));
    let domains: Vec<&str> = config.domain.iter().map(|domain| domain.name.as_str()).collect();
    let title = format!("Rookery {version} serves {}", domains.join(", "));
    match config.telemetry.log_format {
        LogFormat::Text => {
            let text = format!("{title}\n{}", columns(&lines));
            std::io::stderr().lock().write_all(text.as_bytes())?;
        }
        // Whoever reads JSON from there reads nothing else.
        LogFormat::Json => {
            tracing::info!("{title}");
            lines.iter().for_each(|(label, text)| tracing::info!("{label}: {text}"));
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    Ok(out.flush()?)
}

/// What is open, what is kept where, what comes next; each with a label.
fn greeting(config: &Config, server: &Server) -> Vec<(&'static str, String)> {
    let (gate, others) = (server.gate(), server.others());
    let components = server.components().map(|it| it.addresses().to_vec());
    let open: [(&str, Vec<SocketAddr>, &str); 8] = [
        ("clients", gate.c2s_addresses().collect(), " (STARTTLS)"),
        ("clients", gate.c2s_tls_addresses().collect(), " (TLS)"),
        ("web", server.https_addresses().to_vec(), " (HTTPS)"),
        ("health", server.http_addresses().to_vec(), ""),
        ("servers", others.map(|it| it.addresses().collect()).unwrap_or_default(), " (STARTTLS)"),
        ("servers", others.map(|it| it.addresses_tls().collect()).unwrap_or_default(), " (TLS)"),
        ("components", components.unwrap_or_default(), ""),
        ("members", server.members_address().into_iter().collect(), ""),
    ];
    let mut lines = listeners(&open);
    lines.push(("data", config.data_dir.display().to_string()));
    let domain = config.domain.first().map_or("localhost", |domain| domain.name.as_str());
    lines.push(("add account", format!("rookery account add NAME@{domain}")));
    lines
}

/// A line for each kind of listener that is open.
fn listeners(
    kinds: &[(&'static str, Vec<SocketAddr>, &'static str)],
) -> Vec<(&'static str, String)> {
    let open = kinds.iter().filter(|(_, addresses, _)| !addresses.is_empty());
    let line = |(label, addresses, kind): &(&'static str, Vec<SocketAddr>, &str)| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        (*label, format!("{}{kind}", addresses.join(", ")))
    };
    open.map(line).collect()
}

/// Labels on the left, each once.
fn columns(lines: &[(&'static str, String)]) -> String {
    let mut before = "";
    let line = |(label, text): &(&'static str, String)| {
        let shown = if *label == before { "" } else { *label };
        before = *label;
        format!("  {shown:<13}{text}\n")
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_has_no_line_and_what_has_several_one_label() {
        let at = |port| vec![SocketAddr::from(([127, 0, 0, 1], port))];
        let kinds = [
            ("clients", Vec::new(), " (STARTTLS)"),
            ("clients", at(5223), " (TLS)"),
            ("web", Vec::new(), " (HTTPS)"),
            ("servers", at(5269), " (STARTTLS)"),
            ("servers", at(5270), " (TLS)"),
        ];
        let text = "  clients      127.0.0.1:5223 (TLS)\n  servers      127.0.0.1:5269 (STARTTLS)\n               \
                    127.0.0.1:5270 (TLS)\n";
        assert_eq!(columns(&listeners(&kinds)), text);
    }
}
