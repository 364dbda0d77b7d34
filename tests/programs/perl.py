#!/usr/bin/python3
"""perl: strings, hashes, sorting, regular expressions, closures, fork and threads."""

import harness

SCRIPT = r"""
use strict; use warnings; use Digest::MD5 qw(md5_hex); use threads;

my $seed = 4;
sub chance { $seed = ($seed * 1103515245 + 12345) & 0x7fffffff; return $seed % $_[0] }

my (%count, @records);
for my $i (1 .. 25_000) {
  my $word = join '', map { chr(97 + chance(26)) } 1 .. 1 + chance(6);
  $count{$word}++;
  push @records, { name => $word, value => chance(1_000_000), list => [1 .. chance(8)] };
}
my @sorted = sort { $a->{value} <=> $b->{value} || $a->{name} cmp $b->{name} } @records;
print md5_hex(join ',', map { "$_->{name}=$_->{value}:@{$_->{list}}" } @sorted), "\n";
print scalar(keys %count), " words\n";

my $text = join ' ', map { $_->{name} } @sorted;
my $changed = ($text =~ s/([aeiou]+)([^aeiou ]+)/$2$1/g);
print "$changed ", md5_hex($text), "\n";
my $long = ''; $long .= "$_->{name}\n" for @sorted; $long = reverse $long;
print length($long), ' ', md5_hex($long), "\n";
delete $count{$_} for grep { length > 3 } keys %count;
print join(' ', map { "$_=$count{$_}" } (sort keys %count)[0 .. 50]), "\n";

sub nested { my ($depth) = @_; return $depth ? [map { nested($depth - 1) } 1 .. 4] : 'x' x 50 }
sub leaves {
  my ($node) = @_;
  return 1 unless ref $node;
  my $n = 0;
  $n += leaves($_) for @$node;
  return $n;
}
print leaves(nested(6)), "\n";

my @threads = map { my $k = $_; threads->create(sub { md5_hex(join $k, 1 .. 200_000) }) } 1 .. 4;
print $_->join, "\n" for @threads;
for my $k (1 .. 20) {
  my $pid = open(my $child, '-|') // die;
  if (!$pid) { print md5_hex(join $k, 1 .. 20_000), "\n"; exit $k }
  print <$child>; close $child; print $? >> 8, "\n";
}
exit 3;
"""


def body(trial: harness.Harness) -> None:
    outcome = trial.same(["perl", "-e", SCRIPT], processes=20, succeeds=False)
    if outcome.code != 3:
        raise harness.Failure(f"perl ends with {outcome.code}:\n{harness.tail(outcome.errors)}")


if __name__ == "__main__":
    harness.main(body)
