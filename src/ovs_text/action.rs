//! A datapath flow's actions as they are written (`format_odp_actions` in `lib/odp-util.c`). What is read is written back
//! as it was, to the letter.

use std::fmt;

use super::{
    Key, Value,
    split::{call, comma, split},
};

macro_rules! words {
    ($($(#[$doc:meta])* $word:ident $name:literal,)*) => {
        /// Actions that are a word, or a word with arguments that are no actions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Verb {
            $($(#[$doc])* $word,)*
        }

        impl Verb {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$word),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$word => $name,)*
                }
            }
        }
    };
}

words! {
    /// The packet goes no further; a reason may be given.
    Drop "drop",
    /// To userspace: `pid`, and what for.
    Userspace "userspace",
    /// Begins anew with another recirculation id.
    Recirc "recirc",
    /// Computes the datapath's hash.
    Hash "hash",
    /// Takes the packet through connection tracking.
    Ct "ct",
    /// Forgets what connection tracking said.
    CtClear "ct_clear",
    /// Adds a VLAN tag.
    PushVlan "push_vlan",
    /// Removes the VLAN tag.
    PopVlan "pop_vlan",
    /// Adds an MPLS label.
    PushMpls "push_mpls",
    /// Removes the MPLS label.
    PopMpls "pop_mpls",
    /// Adds an MPLS label at layer 2 or 3.
    AddMpls "add_mpls",
    /// Adds an Ethernet header.
    PushEth "push_eth",
    /// Removes the Ethernet header.
    PopEth "pop_eth",
    /// Adds a network service header (NSH).
    PushNsh "push_nsh",
    /// Removes the network service header.
    PopNsh "pop_nsh",
    /// Cuts the packet to so many bytes for the next output.
    Trunc "trunc",
    /// Passes the packet through a meter, which may drop it.
    Meter "meter",
    /// Into a tunnel of the userspace datapath.
    TnlPush "tnl_push",
    /// Out of one.
    TnlPop "tnl_pop",
    /// To a member of a bond, which the hash chooses.
    LbOutput "lb_output",
    /// Sends a sample to a psample group.
    Psample "psample",
}

/// Actions that have actions in them.
const BLOCKS: [&str; 4] = ["clone", "sample", "check_pkt_len", "dec_ttl"];
/// How deep actions within actions are read: deeper than the kernel takes them. What is deeper is [`Action::Unknown`].
const DEEPEST: usize = 16;
/// Arguments of blocks that hold actions.
const BRANCHES: [&str; 4] = ["actions", "gt", "le", "le_1"];

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To a port, by its number or name.
    Output(Value),
    /// `set(ipv4(dst=1.2.3.4))`: these fields get these values, where there is a mask these bits of them.
    Set(Key),
    /// A word and its arguments, each as it is: `ct(commit,zone=5,nat(src))`, `pop_vlan`.
    Verb(Verb, Option<Vec<String>>),
    /// An action with actions in it.
    Block(&'static str, Vec<Argument>),
    /// What is none of these, as it is.
    Unknown(String),
}

/// What stands in an action that has actions in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// `sample=50.0%`, `size=200`.
    Word(String),
    /// `actions(…)`, `gt(…)`: actions that are executed under a condition.
    Branch(&'static str, Vec<Action>),
    /// An action, as in `clone(…)`.
    Action(Action),
}

impl Action {
    /// Reads a list of actions. Takes any text: what is not understood is [`Action::Unknown`].
    pub fn read_all(text: &str) -> Vec<Self> {
        Self::read_at(text, 0)
    }

    fn read_at(text: &str, depth: usize) -> Vec<Self> {
        split(text).into_iter().map(|action| Self::read(action, depth)).collect()
    }

    fn read(text: &str, depth: usize) -> Self {
        let verb = |name: &str| Verb::ALL.iter().copied().find(|verb| verb.name() == name);
        let Some((name, inner)) = call(text) else {
            return match verb(text) {
                Some(verb) => Self::Verb(verb, None),
                None if is_port(text) => Self::Output(Value::read(text)),
                None => Self::Unknown(text.to_owned()),
            };
        };
        if name == "set" {
            return Self::Set(Key::read(inner));
        }
        if let Some(block) = BLOCKS.iter().find(|block| **block == name).filter(|_| depth < DEEPEST) {
            let argument = |part: &str| Argument::read(block, part, depth + 1);
            return Self::Block(block, split(inner).into_iter().map(argument).collect());
        }
        match verb(name) {
            Some(verb) => Self::Verb(verb, Some(split(inner).into_iter().map(str::to_owned).collect())),
            None => Self::Unknown(text.to_owned()),
        }
    }

    /// How many actions in it are not understood, itself included.
    pub fn unknown(&self) -> usize {
        match self {
            Self::Output(_) | Self::Verb(..) => 0,
            Self::Set(key) => key.unknown(),
            Self::Block(_, arguments) => arguments.iter().map(Argument::unknown).sum(),
            Self::Unknown(_) => 1,
        }
    }
}

/// A port's number, or a name that a device can have.
fn is_port(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:@-".contains(&b);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed)
}

impl Argument {
    fn read(block: &str, text: &str, depth: usize) -> Self {
        if block == "clone" {
            return Self::Action(Action::read(text, depth));
        }
        let branch = call(text).and_then(|(name, inner)| {
            let name = BRANCHES.iter().find(|branch| **branch == name)?;
            Some(Self::Branch(name, Action::read_at(inner, depth)))
        });
        branch.unwrap_or_else(|| Self::Word(text.to_owned()))
    }

    fn unknown(&self) -> usize {
        match self {
            Self::Word(_) => 0,
            Self::Branch(_, actions) => actions.iter().map(Action::unknown).sum(),
            Self::Action(action) => action.unknown(),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, name: &str, items: &[T]) -> fmt::Result {
    write!(f, "{name}(")?;
    comma(f, items)?;
    f.write_str(")")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(port) => port.fmt(f),
            Self::Set(key) => write!(f, "set({key})"),
            Self::Verb(verb, None) => f.write_str(verb.name()),
            Self::Verb(verb, Some(arguments)) => list(f, verb.name(), arguments),
            Self::Block(name, arguments) => list(f, name, arguments),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) => f.write_str(text),
            Self::Branch(name, actions) => list(f, name, actions),
            Self::Action(action) => action.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ovs_text::{Base, Group, Part};

    /// Every action in the forms that OVS writes it in; each is understood, and written back as it is.
    const ACTIONS: &[&str] = &[
        "1,2,p3_l",
        "drop",
        "drop(reason=3)",
        "userspace(pid=555666777)",
        "userspace(pid=9765,sFlow(vid=9,pcp=7,output=0),actions)",
        "userspace(pid=0,controller(reason=1,dont_send=0,continuation=0,recirc_id=4444,rule_cookie=0x5555,controller_id=0,max_len=65535)),1",
        "userspace(pid=9,slow_path(bfd,controller))",
        "userspace(pid=9,sFlow(vid=0,pcp=0,output=1073741823),actions,tunnel_out_port=7)",
        "userspace(pid=7,userdata(0a0b0c0d0e0f1011),actions),userspace(pid=7,userdata(00),tunnel_out_port=3)",
        "userspace(pid=0,flow_sample(probability=9,collector_set_id=2,obs_domain_id=3,obs_point_id=4,output_port=5,egress),tunnel_out_port=6)",
        "userspace(pid=0,flow_sample(probability=65535,collector_set_id=1,obs_domain_id=1,obs_point_id=45,output_port=1)),2",
        "userspace(pid=1,ipfix(output_port=1),tunnel_out_port=10)",
        "set(tunnel(tun_id=0xabcdef1234567890,src=1.1.1.1,dst=2.2.2.2,ttl=64,flags(df|csum|key)))",
        "set(ipv4(dst=1.2.3.4,ttl=63)),set(eth(src=00:01:02:03:04:05/ff:ff:ff:ff:ff:00)),3",
        "set(in_port(7)),set(skb_priority(0x20)),set(skb_mark(0x5/0xff)),set(eth_type(0x0806))",
        "set(ipv4(src=10.1.2.3/255.255.0.0,tos=0x4/0xfc)),set(ipv4(proto=17,frag=no)),set(ipv4(tos=0/0x3))",
        "set(ipv6(src=fe80::7,dst=::1/::ffff)),set(ipv6(label=0x5/0xff,tclass=0x10/0x1c,hlimit=63))",
        "set(tcp(src=81/0xff00,dst=8081)),set(udp(dst=54)),set(sctp(src=83/0xff0,dst=84)),set(icmp(type=3,code=1)),set(icmpv6(type=2,code=0))",
        "set(arp(sip=1.1.1.1,op=2,sha=02:00:00:00:00:07)),set(nd(target=fe80::9,tll=02:00:00:00:00:07))",
        "set(vlan(vid=6/0x7)),set(vlan(vid=7,pcp=2,cfi=1)),set(mpls(label=9,tc=1,ttl=63,bos=1))",
        "set(nsh(flags=2,ttl=62,spi=0x5/0xff,si=254,c1=0x1,c2=0x2/0xf,c3=0x3,c4=0x4))",
        "set(tunnel(tun_id=0x7,dst=9.9.9.9,ttl=64,erspan(ver=1,idx=0x9),flags(df|key))),set(tunnel(tun_id=0x7,ipv6_dst=fd00::9,tp_dst=6081,geneve({class=0x102,type=0x80,len=8,0xa0000000b}),flags(key)))",
        "set(ct_mark(0x5/0xf)),set(ct_label(0x1/0xff))",
        "push_vlan(vid=12,pcp=0,cfi=0),pop_vlan",
        "push_vlan(tpid=0x9100,vid=13,pcp=5)",
        "push_mpls(label=10,tc=3,ttl=128,bos=0,eth_type=0x8847),pop_mpls(eth_type=0x800)",
        "add_mpls(label=100,tc=7,ttl=64,bos=1,eth_type=0x8847)",
        "push_eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),pop_eth",
        "push_nsh(flags=0,ttl=63,mdtype=1,np=4,spi=0x1234,si=9,c1=0x1,c2=0x2,c3=0x3,c4=0x4),pop_nsh()",
        "ct",
        "ct(commit,force_commit,zone=5,mark=0xa0a0a0a0/0xfefefefe,label=0x1/0xff,helper=ftp,nat(src=10.0.0.240-10.0.0.254:32768-65535,random))",
        "ct(nat),ct(commit,nat(src)),ct(zone=65535,nat(dst))",
        "ct(force_commit,timeout=tp7,nat(dst=10.0.0.128-10.0.0.254,hash))",
        "ct(commit,nat(src=192.0.2.7:1024-2047,persistent))",
        "ct(commit,nat(src=2001:db8::1-2001:db8::9,random))",
        "ct(commit,eventmask=0x507,nat(src=[2001:db8::1]-[2001:db8::9]:255-4096,random))",
        "ct_clear,recirc(0x1)",
        "hash(hash_l4(0)),recirc(0x5)",
        "trunc(100),meter(7)",
        "clone(1,set(eth(dst=00:00:00:00:00:01)),clone(2))",
        "sample(sample=9.7%,actions(1,2,push_vlan(vid=1,pcp=2)))",
        "check_pkt_len(size=200,gt(4),le(5,drop)),check_pkt_len(size=1500,gt(drop),le(drop))",
        "dec_ttl(le_1(userspace(pid=3,slow_path(controller))))",
        "tnl_push(tnl_port(4),header(size=42,type=3,eth(dst=f8:bc:12:44:34:b6,src=f8:bc:12:46:58:e0,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x40),gre((flags=0x2000,proto=0x6558),key=0x1e241)),out_port(1))",
        "tnl_push(tnl_port(6),header(size=50,type=4,eth(dst=02:00:00:00:00:01,src=02:00:00:00:00:02,dl_type=0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0),vxlan(flags=0x8000000,vni=0x7)),out_port(1))",
        "tnl_push(tnl_port(6),header(size=78,type=5,eth(dst=02:00:00:00:00:01,src=02:00:00:00:00:02,dl_type=0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=17,tclass=0x0,hlimit=64),udp(src=0,dst=6081,csum=0xffff),geneve(crit,vni=0x7,options({class=0xffff,type=0x80,len=4,0xb}))),out_port(100))",
        "tnl_pop(4),lb_output(1)",
        "psample(group=12,cookie=0x102030405060708090a0b0c0d0e0f10)",
    ];

    #[test]
    fn every_action_is_understood_and_written_back() {
        for text in ACTIONS {
            let actions = Action::read_all(text);
            let written: Vec<String> = actions.iter().map(ToString::to_string).collect();
            assert_eq!(written.join(","), *text);
            assert_eq!(actions.iter().map(Action::unknown).sum::<usize>(), 0, "{text}: {actions:?}");
        }
        let names = Verb::ALL.iter().map(|verb| verb.name()).chain(BLOCKS);
        for name in names {
            assert!(ACTIONS.iter().any(|text| text.contains(name)), "{name} has no case");
        }
    }

    #[test]
    fn actions_within_actions_are_actions() {
        let actions = Action::read_all("check_pkt_len(size=200,gt(p4),le(set(ipv4(ttl=63)),odd()))");
        let [Action::Block("check_pkt_len", arguments)] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(arguments[0], Argument::Word("size=200".to_owned()));
        assert_eq!(arguments[1], Argument::Branch("gt", vec![Action::Output(Value::Word("p4".to_owned()))]));
        let Argument::Branch("le", le) = &arguments[2] else { panic!("{arguments:?}") };
        assert!(matches!(&le[0], Action::Set(key) if matches!(key.0[..], [Part::Fields(Group::Ipv4, _)])));
        assert_eq!(le[1], Action::Unknown("odd()".to_owned()));
        assert_eq!(actions[0].unknown(), 1);
        assert_eq!(Action::read_all("7"), [Action::Output(Value::Number(7, Base::Decimal))]);
    }

    #[test]
    fn depth_has_a_bound() {
        let text = "clone(".repeat(5000) + &")".repeat(5000);
        let actions = Action::read_all(&text);
        assert_eq!((actions[0].to_string(), actions[0].unknown()), (text, 1));
    }

    proptest! {
        #[test]
        fn any_text_is_written_back_as_it_was(text in "((set|ct|clone|sample|drop|userspace|[a-z]{1,4})?[(]{0,2}[a-z0-9=.:/%]{0,6}[)]{0,2},?){0,10}|\\PC{0,60}") {
            let written: Vec<String> = Action::read_all(&text).iter().map(ToString::to_string).collect();
            prop_assert_eq!(written.join(","), text);
        }
    }
}
