cd /srv/depot
/srv/depot/bin/depotctl verify
ls snapshots
/srv/depot/bin/depotctl list
/srv/depot/bin/depotctl restore 2026-09-07-a1
cat stock.csv
/srv/depot/bin/depotctl verify
tail -n 5 /srv/depot/audit/audit.jsonl
exit
