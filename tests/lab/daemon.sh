# The control socket's tests against the daemon of this guest.
modprobe tun # for a datapath in userspace
exec /lab/bin/ovs_rpc_daemon-* --ignored --test-threads=1 with_ovs::
