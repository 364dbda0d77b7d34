#!/usr/bin/perl
# Hashes, strings and regular expressions: a text is made, split, counted, rewritten, joined.
use strict;
use warnings;

my ($scale_percent) = $ARGV[0] =~ /^--scale=(\d+)$/ or die "usage: text.pl --scale=PERCENT\n";
my $lines = int(40_000 * $scale_percent / 100) + 10;

# Perl's own generator differs from version to version.
my $state = 42;
sub below {
  $state = ($state * 1103515245 + 12345) % 2147483648;
  return ($state >> 8) % $_[0];
}

my (%count, %places, @kept);
my $checksum = 0;
for my $line (1 .. $lines) {
  my $text = join ' ', map { 'w' . below(20_000) . ('x' x below(12)) } 1 .. 8;
  for my $word (split / /, $text) {
    $count{$word}++;
    push @{ $places{ substr $word, 0, 4 } }, $line if $word =~ /^w\d+5x{3,}$/;
  }
  (my $other = $text) =~ s/w(\d+)(x*)/"<$1:" . length($2) . ">"/ge;
  push @kept, { line => $line, text => $other, words => [ $other =~ /<(\d+):/g ] };
  splice @kept, below(1000), 1 if @kept > 1000;
  $checksum = ($checksum * 31 + length $other) % 1_000_000_007;
}
for my $word (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count) {
  $checksum = ($checksum * 31 + $count{$word} + ord substr $word, -1) % 1_000_000_007;
}
for my $prefix (sort keys %places) {
  $checksum = ($checksum * 31 + scalar @{ $places{$prefix} }) % 1_000_000_007;
}
$checksum = ($checksum * 31 + length join ',', map { @{ $_->{words} } } @kept) % 1_000_000_007;
print "checksum=$checksum operations=$lines\n";
