select date_trunc('month', lent_on) as month,
       count(*) as loans,
       count(distinct member_id) as members,
       sum(fee_cents) / 100.0 as fees
from loans
where lent_on >= :'first' and lent_on < :'next'
group by 1;
