//! The control socket's client and service against a real ovs-vswitchd, in a directory of its own, with a dummy
//! datapath: neither root nor the kernel's module is needed. Debian and Ubuntu: `apt install openvswitch-switch`.

use std::{
    path::Path,
    process::{Child, Command as Process, Stdio},
    time::Duration,
};

use nix::{sys::signal, unistd::Pid};
use ovscope::ovs_text::{Names, Trace, write_key};
use ovscope::{
    event::{
        Body, DaemonAnswer, DaemonState, DaemonTrace, DpIfindex, Event, Field, FieldMatch, FlowMatch, Query, Ufid,
    },
    ovs_rpc::{Ask, AskTrace, CallError, Client, Command, Config, FlowPlace, KeyText, Question, Search, Word, spawn},
};
use tokio::{sync::mpsc, time::timeout};

/// Longer than anything here takes on a busy machine; what does not come at all fails by it.
const PATIENT: Duration = Duration::from_secs(60);
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const PACKET: &str = "in_port(1),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),eth_type(0x0800),\
    ipv4(src=192.0.2.1,dst=192.0.2.2,proto=17,tos=0,ttl=64,frag=no),udp(src=1000,dst=9)";

/// A database and a daemon, killed at the end.
struct Ovs {
    dir: tempfile::TempDir,
    database: Child,
    daemon: Child,
}

/// An OVS program with everything of it in `dir`.
fn program(dir: &Path, name: &str) -> Process {
    let mut process = Process::new(name);
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    process.env("PATH", path).env("OVS_RUNDIR", dir).env("OVS_DBDIR", dir).env("OVS_LOGDIR", dir);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    process
}

fn start_daemon(dir: &Path) -> Child {
    let database = format!("unix:{}", dir.join("db.sock").display());
    program(dir, "ovs-vswitchd")
        .args([&database, "--enable-dummy", "--disable-system", "--no-chdir", "--pidfile", "--log-file"])
        .spawn()
        .expect("ovs-vswitchd: install openvswitch-switch")
}

impl Ovs {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let path = dir.path();
        let made = program(path, "ovsdb-tool").arg("create").arg(path.join("conf.db")).arg(SCHEMA).status();
        assert!(made.expect("ovsdb-tool: install openvswitch-switch").success(), "no database of {SCHEMA}");
        let database = program(path, "ovsdb-server")
            .arg(path.join("conf.db"))
            .arg(format!("--remote=punix:{}", path.join("db.sock").display()))
            .args(["--pidfile", "--log-file"])
            .spawn()
            .expect("ovsdb-server: install openvswitch-switch");
        let daemon = start_daemon(path);
        let ovs = Self { dir, database, daemon };
        ovs.configure("--no-wait init");
        let port = |name| format!("-- add-port br0 {name} -- set interface {name} type=dummy");
        ovs.configure(&format!("add-br br0 -- set bridge br0 datapath_type=dummy {} {}", port("p1"), port("p2")));
        ovs
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns when the daemon has done it.
    fn configure(&self, arguments: &str) {
        let database = format!("--db=unix:{}", self.path().join("db.sock").display());
        let done = program(self.path(), "ovs-vsctl")
            .args([&database, "--retry", "--timeout=60"])
            .args(arguments.split(' '))
            .status()
            .expect("ovs-vsctl: install openvswitch-switch");
        assert!(done.success(), "ovs-vsctl {arguments}");
    }

    /// What OVS's own client gets to read.
    fn appctl(&self, arguments: &[&str]) -> String {
        let output = program(self.path(), "ovs-appctl").args(arguments).stdout(Stdio::piped()).output();
        let output = output.expect("ovs-appctl: install openvswitch-switch");
        assert!(output.status.success(), "ovs-appctl {arguments:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// A flow that the datapath has now.
    fn make_flow(&self) -> Ufid {
        self.appctl(&["netdev-dummy/receive", "p1", PACKET]);
        loop {
            // The packet is taken by a thread; the daemon answers this one after the other, so this does not spin long.
            let flows = self.appctl(&["dpctl/dump-flows", "-m", "dummy@ovs-dummy"]);
            if let Some(ufid) = flows.split([' ', ',', '\n']).find_map(|word| word.strip_prefix("ufid:")) {
                return ufid.parse().expect("as our own");
            }
        }
    }

    fn rules(&self, rules: &[&str]) {
        for rule in rules {
            let done = program(self.path(), "ovs-ofctl").args(["add-flow", &self.management(), rule]).status();
            assert!(done.expect("ovs-ofctl: install openvswitch-switch").success(), "{rule}");
        }
    }

    fn dump(&self, rules: &str) -> String {
        let output = program(self.path(), "ovs-ofctl")
            .args(["--names", "dump-flows", &self.management(), rules])
            .stdout(Stdio::piped())
            .output();
        String::from_utf8(output.expect("ovs-ofctl: install openvswitch-switch").stdout).expect("text")
    }

    fn management(&self) -> String {
        format!("unix:{}", self.path().join("br0.mgmt").display())
    }

    fn signal(&self, signal: signal::Signal) {
        signal::kill(Pid::from_raw(self.daemon.id().try_into().expect("a pid")), signal).expect("our own child");
    }

    async fn client(&self) -> Client {
        Client::new(self.search().find().await.expect("the daemon listens"))
    }

    fn search(&self) -> Search {
        Search::with_rundir(Some(self.path().to_owned()), None)
    }
}

impl Drop for Ovs {
    fn drop(&mut self) {
        for child in [&mut self.daemon, &mut self.database] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The service, looking often.
struct Service {
    asks: mpsc::Sender<Question>,
    out: mpsc::Receiver<Vec<Event>>,
}

impl Service {
    fn start(ovs: &Ovs) -> Self {
        let (asks, asked) = mpsc::channel(8);
        let (told, out) = mpsc::channel(8);
        let (deadline, health) = (Duration::from_millis(500), Duration::from_millis(200));
        let begin = std::time::Instant::now();
        let clock = move || begin.elapsed().as_nanos() as u64;
        spawn(Config { search: ovs.search(), rate: 100, deadline, health, figures: health }, asked, told, clock);
        Self { asks, out }
    }

    /// The first that `wanted` makes something of.
    async fn next<T>(&mut self, wanted: impl Fn(Body) -> Option<T>) -> T {
        let found = async {
            loop {
                for event in self.out.recv().await.expect("the service lives") {
                    if let Some(found) = wanted(event.body) {
                        return found;
                    }
                }
            }
        };
        timeout(PATIENT, found).await.expect("it comes")
    }

    /// Pid, version, round trip and missing commands of the next that is up.
    async fn up(&mut self) -> (u32, String, u64, Vec<String>) {
        self.next(|body| match body {
            Body::Daemon(DaemonState::Up { pid, version, round_trip_ns, missing }) => {
                Some((pid, version, round_trip_ns, missing))
            }
            _ => None,
        })
        .await
    }

    async fn down(&mut self) -> String {
        self.next(|body| if let Body::Daemon(DaemonState::Down { why }) = body { Some(why) } else { None }).await
    }

    async fn trace(&mut self) -> DaemonTrace {
        self.next(|body| if let Body::DaemonTrace(trace) = body { Some(*trace) } else { None }).await
    }

    async fn answer(&mut self, query: Query) -> DaemonAnswer {
        self.next(|body| match body {
            Body::DaemonAnswer(answer) if answer.query == query => Some(*answer),
            _ => None,
        })
        .await
    }
}

/// Where Open vSwitch is installed: `cargo test --test ovs_rpc_daemon with_ovs -- --ignored`.
mod with_ovs {
    use super::*;

    #[tokio::test]
    #[ignore = "needs Open vSwitch installed: in_a_guest runs it"]
    async fn every_command_is_one_that_the_daemon_has_and_answers() {
        let ovs = Ovs::start();
        let ufid = ovs.make_flow();
        let mut client = ovs.client().await;
        let listed = client.call(&Command::ListCommands, PATIENT).await.expect("its commands");
        for command in [
            Command::Version,
            Command::DpctlShow,
            Command::DumpDps,
            Command::DpifShow,
            Command::UpcallShow,
            Command::CoverageShow,
            Command::FdbStats { bridge: Word::new("br0").expect("a name") },
            Command::Trace { datapath: None, key: KeyText::new(PACKET).expect("a key") },
            Command::GetFlow { place: FlowPlace::OnlyDatapath, ufid },
            Command::GetFlow { place: FlowPlace::Datapath(Word::new("dummy@ovs-dummy").expect("a name")), ufid },
        ] {
            assert!(listed.contains(&format!("\n  {} ", command.name())), "{command} is not in {listed}");
            let ours = client.call(&command, PATIENT).await.expect("its text");
            if matches!(command, Command::Version | Command::DumpDps | Command::FdbStats { .. }) {
                let words = command.to_string();
                let theirs = ovs.appctl(&words.split(' ').collect::<Vec<_>>());
                // Since OVS 3.5 the newline at the end is the client's own.
                assert_eq!(ours.trim_end(), theirs.trim_end(), "as OVS's own client has it");
            }
        }
        let names = [FlowPlace::OnlyDatapath, FlowPlace::Datapath(Word::new("ovs-system").expect("a name"))];
        let mut refusals = Vec::new();
        for (place, ufid) in names.into_iter().zip([Ufid([1; 4]), ufid]) {
            match client.call(&Command::GetFlow { place, ufid }, PATIENT).await {
                Err(CallError::Refused { text, .. }) => refusals.push(text),
                other => panic!("no such flow, no such datapath: {other:?}"),
            }
        }
        assert!(refusals[0].contains("No such file or directory"), "{refusals:?}");
        assert!(refusals[1].contains("datapath not found"), "{refusals:?}");
    }

    #[tokio::test]
    #[ignore = "needs Open vSwitch installed: in_a_guest runs it"]
    async fn a_flow_of_a_real_daemon_is_asked_about() {
        let ovs = Ovs::start();
        let mut service = Service::start(&ovs);
        let (pid, version, round_trip_ns, missing) = service.up().await;
        assert_eq!(pid, ovs.daemon.id());
        assert_eq!(Some(&*version), ovs.appctl(&["version"]).lines().next());
        assert!(round_trip_ns > 0 && round_trip_ns < 60_000_000_000, "{round_trip_ns}");

        let ufid = ovs.make_flow();
        let asked = Ask { ufid, dp: DpIfindex(1), datapath: "ovs-system".to_owned(), sf_acts: None };
        service.asks.send(asked.clone().into()).await.expect("it lives");
        if missing == ["ofproto/detrace"] {
            let why = service.answer(Query::Detrace).await.answer.expect_err("it has no detrace");
            assert!(why.ends_with("has no ofproto/detrace: it came with OVS 3.4"), "{why}");
        }
        let flow = service.answer(Query::GetFlow).await;
        let text = flow.answer.expect("the flow");
        assert!(flow.ufid == ufid && flow.took_ns > 0);
        assert!(text.contains("in_port(p1)") && text.contains("actions:"), "{text}");
        if missing.is_empty() {
            // A revalidation has to come by first; until then it is asked again, and what it says is told.
            let rules = loop {
                if let Ok(rules) = service.answer(Query::Detrace).await.answer {
                    break rules;
                }
            };
            assert!(rules.contains("actions=NORMAL") && !rules.contains("was not found for"), "{rules}");
        }

        service.asks.send(Ask { ufid: Ufid([1; 4]), ..asked }.into()).await.expect("it lives");
        let why = service.answer(Query::GetFlow).await.answer.expect_err("there is none");
        assert!(why.contains("the datapath has no such flow any more"), "{why}");
    }

    /// The key of a new flow as the probes tell of it, under its mask.
    fn shape(udp_src: u128) -> FlowMatch {
        let fields = [
            (Field::RecircId, 0),
            (Field::InPort, 1),
            (Field::EthType, 0x800),
            (Field::IpProto, 17),
            (Field::IpFrag, 0),
            (Field::UdpSrc, udp_src),
        ];
        FlowMatch::new(fields.map(|(field, value)| FieldMatch { field, value, mask: u128::MAX }))
    }

    #[tokio::test]
    #[ignore = "needs Open vSwitch installed: in_a_guest runs it"]
    async fn the_rule_that_a_new_flow_differs_by_is_found_and_nothing_comes_of_asking() {
        let ovs = Ovs::start();
        ovs.rules(&[
            "priority=100,udp,in_port=p1,cookie=0x1f,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],resubmit(,1)",
            "table=1,priority=7,udp,actions=learn(table=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]),output:p2",
            "table=9,priority=1,actions=drop",
        ]);
        let mut service = Service::start(&ovs);
        service.up().await;
        let mut traced = Vec::new();
        for udp_src in [1000, 2000, 3000] {
            let key = KeyText::new(&write_key(&shape(udp_src)).expect("all of it is known")).expect("a key");
            let (ufid, packet, sample_of) = (Some(Ufid([udp_src as u32; 4])), None, Some(Field::UdpSrc));
            let ask = AskTrace { dp: DpIfindex(7), datapath: "ovs-dummy".to_owned(), key, ufid, packet, sample_of };
            service.asks.send(ask.clone().into()).await.expect("it lives");
            let answer = service.trace().await;
            assert!((&answer.key, answer.ufid, answer.took_ns > 0) == (&ask.key.to_string(), ask.ufid, true));
            traced.push(Trace::read(&answer.answer.expect("a trace")));
        }
        for trace in traced {
            assert_eq!((trace.passes.len(), trace.unknown), (1, 0), "{trace:?}");
            let pass = &trace.passes[0];
            assert!(pass.matches(Field::UdpSrc) && !pass.matches(Field::UdpDst), "{}", pass.megaflow);
            let met: Vec<_> = pass.met.iter().map(|met| (met.bridge.as_str(), met.table, met.priority)).collect();
            assert_eq!(met, [("br0", 0, Some(100)), ("br0", 1, Some(7))]);
            let copies = "move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]".to_owned();
            assert_eq!(pass.met[0].names(Field::UdpSrc), [Names::Action(copies)]);
            assert_eq!(pass.met[0].cookie, "0x1f");
            assert_eq!(pass.met[1].names(Field::UdpSrc), []);
        }
        let learned = ovs.appctl(&["fdb/show", "br0"]);
        assert_eq!(learned.lines().count(), 1, "no packet came by: {learned}");
        assert_eq!(ovs.dump("table=9").lines().filter(|line| line.contains("dl_dst")).count(), 0);
        assert!(ovs.dump("table=0").contains("n_packets=0"));

        // What cannot be traced says why.
        let key = KeyText::new("in_port(77),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07)").expect("a key");
        for (datapath, why) in [("ovs-dummy", "no OpenFlow port"), ("ovs-other", "Cannot find the datapath")] {
            let (datapath, key) = (datapath.to_owned(), key.clone());
            let ask = AskTrace { dp: DpIfindex(7), datapath, key, ufid: None, packet: None, sample_of: None };
            service.asks.send(ask.into()).await.expect("it lives");
            let said = service.trace().await.answer.expect_err("no such port, no such datapath");
            assert!(said.contains(why), "{said}");
        }
    }

    #[tokio::test]
    #[ignore = "needs Open vSwitch installed, and root: in_a_guest runs it"]
    async fn with_two_datapaths_the_flows_is_named() {
        let ovs = Ovs::start();
        ovs.configure("add-br br1 -- set bridge br1 datapath_type=netdev");
        let ufid = ovs.make_flow();
        let mut service = Service::start(&ovs);
        let named = Ask { ufid, dp: DpIfindex(1), datapath: "dummy@ovs-dummy".to_owned(), sf_acts: None };
        for (asked, good) in
            [(named.clone(), true), (Ask { datapath: String::new(), ufid: Ufid([1; 4]), ..named }, false)]
        {
            service.asks.send(asked.into()).await.expect("it lives");
            let answer = service.answer(Query::GetFlow).await.answer;
            match &answer {
                Ok(text) => assert!(good && text.contains("in_port(1)"), "by its number in this form: {text}"),
                Err(why) => assert!(!good && why.contains("ovs-vswitchd has several datapaths"), "{why}"),
            }
        }
    }

    #[tokio::test]
    #[ignore = "needs Open vSwitch installed: in_a_guest runs it"]
    async fn a_real_daemon_is_killed_started_stopped_and_goes_on() {
        let mut ovs = Ovs::start();
        let mut service = Service::start(&ovs);
        assert_eq!(service.up().await.0, ovs.daemon.id());

        ovs.daemon.kill().expect("our own child");
        ovs.daemon.wait().expect("our own child");
        assert!(service.down().await.contains("it ended or starts anew"));
        assert!(service.down().await.contains("left over from a daemon that is gone"), "killed, it leaves its socket");
        ovs.daemon = start_daemon(ovs.path());
        assert_eq!(service.up().await.0, ovs.daemon.id());

        ovs.signal(signal::SIGSTOP);
        let why = service.down().await;
        assert!(
            why.contains("did not answer") && why.contains("within 500ms: its main thread is busy or stopped"),
            "{why}"
        );
        ovs.signal(signal::SIGCONT);
        assert_eq!(service.up().await.0, ovs.daemon.id());
    }
}

/// On any machine: the tests above, in a guest of the lab.
#[test]
#[ignore = "boots a guest of the lab"]
fn in_a_guest() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let this = std::env::current_exe().expect("this test's own file");
    let done = Process::new(here.join("lab/run"))
        .arg("--bin")
        .arg(this)
        .arg(here.join("tests/lab/daemon.sh"))
        .output()
        .expect("lab/run starts");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("5 passed; 0 failed"), "{said}");
}
