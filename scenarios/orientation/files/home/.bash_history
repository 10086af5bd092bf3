cd /srv/admin
less rotation/journal.log
tail -3 rotation/journal.log
df -h
psql "postgresql://lending_report:bracken-Hinge-85-plover-saddle@db.toollibrary.example.org/lending" -c 'select 1'
cd /srv/reports && ls out
vi /srv/lending/conf/lending.ini
ls /srv/admin/rotation/generations
/srv/admin/bin/rotate --dry-run
tail -f /srv/backup/log/backup.log
exit
