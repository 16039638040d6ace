//! Owns `rookery export` and `rookery import`: accounts as a file of XEP-0227, through a running server or on the store
//! itself while none runs.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use accounts::AccountError;
use accounts::accounts::AccountRow;
use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use web::administration::PAGE;
use web::transfer::ACCOUNT_BYTES;
use xmpp::{BareJid, writer};

use super::account::{Data, on_foundation};
use super::client::{Client, segment};
use crate::config::Config;
use crate::transfer::Transfer;
use crate::transfer::importer::{Importer, Report};
use crate::transfer::reader::{self, Piece, ReadError};
use user::portable::PIE;

/// Accounts go out.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// These accounts, and all of these domains; left out: all
    #[arg(value_name = "ACCOUNT|DOMAIN")]
    which: Vec<String>,
    /// Into this file, which only you may read; left out: to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Say what was written, as JSON, on standard error
    #[arg(long)]
    json: bool,
}

/// Accounts come in.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file
    file: PathBuf,
    /// Say what came of each account, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Written {
    accounts: usize,
    bytes: u64,
}

/// A file that is written, and counts.
struct Outgoing {
    out: std::io::BufWriter<Box<dyn Write>>,
    bytes: u64,
    /// The host that is open.
    host: Option<String>,
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Writes the file. One that is not whole does not stay.
pub(super) fn export(config: &Config, export: &Export) -> anyhow::Result<()> {
    let jids = wanted(config, &export.which)?;
    let out: Box<dyn Write> = match &export.output {
        None => Box::new(std::io::stdout().lock()),
        Some(path) => {
            // §6: what is in it is nobody else's.
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let failed = |error| anyhow::anyhow!("cannot make {}: {error}", path.display());
            Box::new(file.map_err(failed)?)
        }
    };
    let mut file = Outgoing { out: std::io::BufWriter::new(out), bytes: 0, host: None };
    if let Err(error) = write_all(config, &jids, &mut file) {
        drop(file);
        if let Some(path) = &export.output {
            std::fs::remove_file(path).ok();
        }
        return Err(error);
    }
    if export.json {
        let written = Written { accounts: jids.len(), bytes: file.bytes };
        eprintln!("{}", serde_json::to_string(&written)?);
    }
    Ok(())
}

fn write_all(config: &Config, jids: &[BareJid], file: &mut Outgoing) -> anyhow::Result<()> {
    let head = format!("<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='{PIE}'>\n");
    file.write_all(head.as_bytes())?;
    if Client::connect(&config.data_dir)?.is_some() {
        for (done, jid) in jids.iter().enumerate() {
            file.begin(jid)?;
            let path = format!("/api/v1/accounts/{}/export", segment(jid.as_str()));
            let client = Client::need(&config.data_dir)?;
            client.download(&path, file).with_context(|| format!("cannot export {jid}"))?;
            progress(done + 1, Some(jids.len()));
        }
    } else {
        from_store(config, jids, file)?;
    }
    if file.host.is_some() {
        file.write_all(b"\n</host>\n")?;
    }
    file.write_all(b"</server-data>\n")?;
    Ok(file.flush()?)
}

fn from_store(config: &Config, jids: &[BareJid], file: &mut Outgoing) -> anyhow::Result<()> {
    let mut whole = Ok(());
    offline(config, Data::There, async |transfer: &Transfer| {
        whole = async {
            for (done, jid) in jids.iter().enumerate() {
                file.begin(jid)?;
                let mut pieces = transfer.pieces(jid.clone()).await.map_err(anyhow::Error::msg)?;
                while let Some(piece) = pieces.recv().await {
                    file.write_all(&piece.map_err(anyhow::Error::msg)?)?;
                }
                progress(done + 1, Some(jids.len()));
            }
            Ok(())
        }
        .await;
        Ok(())
    })?;
    whole
}

impl Outgoing {
    /// The next account: of another host, perhaps.
    fn begin(&mut self, jid: &BareJid) -> std::io::Result<()> {
        if self.host.as_deref() == Some(jid.domainpart()) {
            return self.write_all(b"\n");
        }
        let mut head = Vec::new();
        if self.host.is_some() {
            head.extend_from_slice(b"\n</host>\n");
        }
        writer::open_start(&mut head, "host", PIE, PIE);
        writer::attribute(&mut head, "jid", jid.domainpart());
        writer::open_end(&mut head);
        head.push(b'\n');
        self.host = Some(jid.domainpart().to_owned());
        self.write_all(&head)
    }
}

/// Accounts by domain and name. A domain stands for all of its accounts.
fn wanted(config: &Config, which: &[String]) -> anyhow::Result<Vec<BareJid>> {
    let mut jids = Vec::new();
    let mut domains = Vec::new();
    for word in which {
        let jid = BareJid::parse(word);
        let jid = jid.map_err(|_| anyhow::anyhow!("{word:?} is no account and no domain"))?;
        if jid.localpart().is_some() { &mut jids } else { &mut domains }.push(jid);
    }
    if which.is_empty() || !domains.is_empty() {
        let all = everybody(config)?;
        for domain in &domains {
            anyhow::ensure!(
                all.iter().any(|jid| jid.domainpart() == domain.as_str()),
                "there are no accounts of {domain}"
            );
        }
        let is_meant = |jid: &BareJid| {
            which.is_empty() || domains.iter().any(|domain| domain.as_str() == jid.domainpart())
        };
        jids.extend(all.into_iter().filter(is_meant));
    }
    jids.sort_by_key(|jid| (jid.domainpart().to_owned(), jid.to_string()));
    jids.dedup();
    Ok(jids)
}

fn everybody(config: &Config) -> anyhow::Result<Vec<BareJid>> {
    let mut all: Vec<AccountRow> = Vec::new();
    loop {
        let after = all.last().map(|row| row.jid.clone());
        let page = super::account::page(config, after)?;
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all.iter().filter_map(|row| BareJid::parse(&row.jid).ok()).collect());
        }
    }
}

/// Opens the store itself; only while no server runs.
fn offline<T>(
    config: &Config,
    data: Data,
    act: impl AsyncFnOnce(&Transfer) -> Result<T, AccountError>,
) -> anyhow::Result<T> {
    on_foundation(config, data, async |foundation| {
        let transfer =
            Transfer { accounts: foundation.accounts(config), ids: foundation.archive_ids() };
        act(&transfer).await
    })
}

/// Reads the file. What cannot be taken in is named, and the rest goes on; at the end it counts as failed.
pub(super) fn import(config: &Config, import: &Import) -> anyhow::Result<()> {
    let mut done: Vec<Result<Report, String>> = Vec::new();
    if Client::connect(&config.data_dir)?.is_some() {
        through_server(config, import, &mut done)?;
    } else {
        on_store(config, import, &mut done)?;
    }
    let mut out = std::io::stdout().lock();
    let failed = done.iter().filter(|it| it.is_err()).count();
    if import.json {
        let lines = done.iter().map(|it| match it {
            Ok(report) => serde_json::to_value(report),
            Err(error) => Ok(serde_json::json!({ "error": error })),
        });
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        writeln!(out, "{}", serde_json::to_string_pretty(&lines)?)?;
    } else {
        for it in &done {
            match it {
                Ok(Report { jid, archived, needs_password, left_out, .. }) => {
                    let note =
                        if *needs_password { "  (disabled: it needs a password)" } else { "" };
                    writeln!(out, "{jid}  {archived} archived messages{note}")?;
                    for what in left_out {
                        writeln!(out, "  left out: {what}")?;
                    }
                }
                Err(error) => eprintln!("rookery: {error}"),
            }
        }
    }
    anyhow::ensure!(failed == 0, "{failed} of {} accounts were not imported", done.len());
    Ok(())
}

/// One account of the file as a document of its own.
fn through_server(
    config: &Config,
    import: &Import,
    done: &mut Vec<Result<Report, String>>,
) -> anyhow::Result<()> {
    let (mut body, mut jid) = (Vec::new(), String::new());
    reader::read(&import.file, &mut |piece| {
        match piece {
            Piece::User { host, name, password } => {
                jid = format!("{name}@{host}");
                body.clear();
                body.extend_from_slice(format!("<server-data xmlns='{PIE}'>").as_bytes());
                writer::open_start(&mut body, "host", PIE, PIE);
                writer::attribute(&mut body, "jid", &host);
                writer::open_end(&mut body);
                writer::open_start(&mut body, "user", PIE, PIE);
                writer::attribute(&mut body, "name", &name);
                if let Some(password) = password {
                    writer::attribute(&mut body, "password", &password);
                }
                writer::open_end(&mut body);
            }
            // What is too long already is not gathered; it is told at the end.
            Piece::Child(child) if body.len() <= ACCOUNT_BYTES => child.write(&mut body, PIE),
            Piece::Child(_) => {}
            Piece::End => {
                body.extend_from_slice(b"</user></host></server-data>");
                done.push(bring(config, &jid, std::mem::take(&mut body)));
                progress(done.len(), None);
            }
            Piece::Unknown(what) => eprintln!("left out: {what}"),
        }
        Ok::<(), anyhow::Error>(())
    })
}

fn bring(config: &Config, jid: &str, body: Vec<u8>) -> Result<Report, String> {
    if body.len() > ACCOUNT_BYTES {
        return Err(format!(
            "{jid} is larger than the {} MiB that a running server takes: import it while the server is stopped",
            ACCOUNT_BYTES >> 20
        ));
    }
    let client = Client::need(&config.data_dir).map_err(|error| error.to_string())?;
    let report = client.post_bytes("/api/v1/accounts/import", body);
    report.map_err(|error| error.to_string())
}

fn on_store(
    config: &Config,
    import: &Import,
    done: &mut Vec<Result<Report, String>>,
) -> anyhow::Result<()> {
    let mut failed = None;
    offline(config, Data::OrNew, async |transfer: &Transfer| {
        // Pieces are read ahead of what is kept by a few.
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Piece>(64);
        let file = import.file.clone();
        let reading = tokio::task::spawn_blocking(move || {
            reader::read(&file, &mut |piece| {
                // Nobody takes it any more: the import has failed already.
                sender.blocking_send(piece).ok();
                Ok::<(), ReadError>(())
            })
        });
        let mut open: Option<(Result<Importer, String>, Option<String>)> = None;
        while let Some(piece) = receiver.recv().await {
            match piece {
                Piece::User { host, name, password } => {
                    open = Some((transfer.begin(&host, &name).await, password));
                }
                Piece::Child(child) => {
                    if let Some((Ok(importer), _)) = &mut open
                        && let Err(error) = importer.take(&child).await
                    {
                        let password = None;
                        open = Some((Err(error.to_string()), password));
                    }
                }
                Piece::End => {
                    let report = match open.take() {
                        Some((Ok(importer), password)) => {
                            importer.finish(password.as_deref()).await.map_err(|it| it.to_string())
                        }
                        Some((Err(error), _)) => Err(error),
                        None => continue,
                    };
                    done.push(report);
                    progress(done.len(), None);
                }
                Piece::Unknown(what) => eprintln!("left out: {what}"),
            }
        }
        failed = reading.await.ok().and_then(Result::err);
        Ok(())
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Says on a terminal how far a long job is.
fn progress(done: usize, all: Option<usize>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    match all {
        Some(all) => eprint!("\r{done} of {all}{}", if done == all { "\n" } else { "" }),
        None => eprint!("\r{done}"),
    }
}
