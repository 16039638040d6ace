//! What operators do wrong, and what they are told: files, directories and settings that are not what they seem.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::stage::{PASSWORD, Stage, rookery};

/// A directory of one's own with a configuration, where no server has run; removed at the end.
struct Empty(PathBuf);

impl Empty {
    fn with(name: &str, config: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("rookery-empty-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("rookery.toml"), config).unwrap();
        Self(dir)
    }

    fn run(&self, args: &[&str]) -> Output {
        rookery(&self.0).args(args).current_dir(&self.0).stdin(Stdio::null()).output().unwrap()
    }

    /// What a command says that fails.
    fn refusal(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.status.code(), Some(1), "{args:?}: {done:?}");
        String::from_utf8(done.stderr).unwrap()
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn who_looks_where_nothing_was_kept_hears_so_and_leaves_nothing_behind() {
    let empty = Empty::with("nothing", "");
    let looks: [&[&str]; 6] = [
        &["account", "list"],
        &["account", "delete", "romeo@localhost"],
        &["account", "password", "romeo@localhost", "--password", "x"],
        &["export"],
        &["cluster", "force-recover"],
        &["store", "migrate", "--from", "data", "--to", "other"],
    ];
    for args in looks {
        let told = empty.refusal(args);
        assert!(told.contains("there are no data in"), "{args:?}: {told}");
        assert!(!empty.data().exists(), "{args:?} made a data directory");
    }
    let added = empty.run(&["account", "add", "romeo@localhost", "--password", "x"]);
    assert!(added.status.success(), "the first account may come before the first start: {added:?}");
    let told = empty.refusal(&["cluster", "force-recover"]);
    assert!(told.contains("no member of a cluster"), "{told}");
}

#[test]
fn a_store_is_copied_from_one_that_is_there_to_another() {
    let empty = Empty::with("migrate", "");
    let added = empty.run(&["account", "add", "romeo@localhost", "--password", "x"]);
    assert!(added.status.success(), "{added:?}");
    let told = empty.refusal(&["store", "migrate", "--from", "dta", "--to", "other"]);
    assert!(told.contains("there is no store in dta"), "{told}");
    assert!(!empty.0.join("dta").exists());
    let told = empty.refusal(&["store", "migrate", "--from", "data", "--to", "./data/"]);
    assert!(told.contains("the same place"), "{told}");
}

#[test]
fn a_file_of_accounts_with_a_wrong_line_makes_none_and_one_taken_again_names_who_is_there() {
    for running in [false, true] {
        let mut stage = Stage::start("[store]\nengine = 'embedded'\n");
        if !running {
            stage.kill();
        }
        let file = stage.dir.join("accounts");
        let add = ["account", "add", "--from-file", file.to_str().unwrap()];
        for (wrong, why) in [
            ("mercutio@localhost", "write `name@domain password`"),
            ("mercutio@elsewhere x", "elsewhere is not served here"),
            ("mercutio x", "not the address of an account"),
            ("mercutio@localhost \u{7}", "the password cannot be used"),
        ] {
            fs::write(&file, format!("romeo@localhost {PASSWORD}\n\n{wrong}\n")).unwrap();
            let told = stage.run(&add).unwrap_err();
            assert!(told.contains("accounts:3: ") && told.contains(why), "{told}");
        }
        assert_eq!(stage.run(&["account", "list"]).unwrap(), "");
        fs::write(&file, format!("romeo@localhost {PASSWORD}\n")).unwrap();
        stage.run(&add).unwrap();
        let more = format!("romeo@localhost other\njuliet@localhost {PASSWORD}\n");
        fs::write(&file, more).unwrap();
        let told = stage.run(&add).unwrap_err();
        assert!(told.contains("accounts:1: romeo@localhost exists already"), "{told}");
        assert!(told.contains("1 of 2 accounts were there already"), "{told}");
        let list = stage.run(&["account", "list"]).unwrap();
        assert_eq!(list, "juliet@localhost\nromeo@localhost\n");
    }
}

/// What `config check` says of this configuration.
fn checked(name: &str, config: &str, prepare: impl FnOnce(&Path)) -> (bool, String) {
    let empty = Empty::with(name, config);
    prepare(&empty.0);
    let done = empty.run(&["config", "check"]);
    (done.status.success(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn a_check_of_the_configuration_reads_every_file_that_it_names() {
    let member = "[cluster]\nname = 'm1'\nlisten = '127.0.0.1:7400'\nbootstrap_expect = 1\n\
                  ca = 'no.crt'\ncertificate = 'no.crt'\nkey = 'no.key'\n";
    let wrong = [
        (member, "[cluster]: cannot read no.crt"),
        ("[auth]\nclient_ca = 'no.crt'\n", "no.crt"),
        ("[[component]]\nname = 'irc.localhost'\nsecret_file = 'no.secret'\n", "no.secret"),
        ("[[component]]\nname = 'irc.localhost'\nsecret_file = 'empty'\n", "has an empty secret"),
        ("[store]\nengine = 'redis'\nurl = 'http://x'\n", "the URL cannot be used"),
        ("[web]\nconverse = 'nowhere'\n", "web.converse: nowhere is no directory"),
    ];
    for (config, why) in wrong {
        let (well, told) =
            checked("check", config, |dir| fs::write(dir.join("empty"), "").unwrap());
        assert!(!well && told.contains(why), "{config}: {told}");
    }
    let (well, told) = checked("check", "[s2s]\nca_file = 'no.crt'\n", |_| {});
    assert!(well && told.contains("cannot read s2s.ca_file no.crt"), "{told}");
}

#[test]
fn a_certificate_for_other_names_is_pointed_out() {
    let other = Stage::start("");
    let made = other.dir.join("data/certificates/localhost.self-signed.pem");
    let config = "[[domain]]\nname = 'chat.example'\ncertificate = 'x.pem'\nkey = 'x.pem'\n";
    let (well, told) = checked("names", config, |dir| drop(fs::copy(made, dir.join("x.pem"))));
    assert!(well && told.contains("chat.example is for other names"), "{told}");
}

#[test]
fn a_member_without_its_certificate_blames_the_certificate() {
    let member = "[cluster]\nname = 'm1'\nlisten = '127.0.0.1:0'\nadvertise = '127.0.0.1:1'\nbootstrap_expect = 1\n\
                  ca = 'no.crt'\ncertificate = 'no.crt'\nkey = 'no.key'\n";
    let told = Empty::with("member", member).refusal(&["serve"]);
    assert!(told.contains("cannot read no.crt") && !told.contains("data directory"), "{told}");
}

#[test]
fn logs_in_json_have_no_line_that_is_none() {
    let config = format!("{}[telemetry]\nlog_format = 'json'\n", include_str!("stage/stage.toml"));
    let empty = Empty::with("json", &config);
    let mut child = rookery(&empty.0)
        .arg("serve")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    let stopped = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
    assert!(stopped.unwrap().success());
    let log = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(log.contains("add account: rookery account add NAME@localhost"), "{log}");
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn a_member_of_the_trial_cluster_that_runs_is_not_started_again() {
    let empty = Empty::with("trial", "");
    let (scripts, member) = (empty.0.join("scripts"), empty.0.join("target/cluster/m2"));
    fs::create_dir_all(&scripts).unwrap();
    fs::create_dir_all(&member).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/cluster");
    fs::copy(script, scripts.join("cluster")).unwrap();
    let own = std::process::id().to_string();
    fs::write(member.join("pid"), &own).unwrap();
    for which in [&["m2"][..], &[]] {
        let mut start = Command::new(scripts.join("cluster"));
        let done = start.args(which).env("BINARY", "false").output().unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert!(told.contains(&format!("m2 runs already, process {own}")), "{told}");
        assert_eq!(done.status.code(), Some(1));
        assert_eq!(fs::read_to_string(member.join("pid")).unwrap(), own);
    }
}
