# A host without PPP: the daemon runs, says so once, and comes alive when /dev/ppp appears.
server alpha 10.9.0.2 admin:secret
database
node 2 10.9.0.2 admin secret speed_ok
mv /dev/ppp /dev/ppp.away
daemon_start

wait_for 20 "status names the cause" status_is no_ppp_support ".nodes[0].last_error.kind"
expect "status says what to do" status_is true '.nodes[0].last_error.remedy | contains("modprobe ppp_generic")'
expect "and so for people" grep 'remedy: .*modprobe ppp_generic' <(connexactl status 2)
wait_journal 5 '/dev/ppp'
expect "the journal says what to do" said '; run `modprobe ppp_generic`'
sleep 5
expect "the journal says it once" said_times 1 '/dev/ppp'

mv /dev/ppp.away /dev/ppp
node_up 2 20
