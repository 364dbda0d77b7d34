"""Ours against the best peer of each row and of the means, by hand-made runs."""

import unittest

from comparelib import peers, table
from comparelib.peers import Standing
from comparelib.results import CPU_TIME, MEMORY, THROUGHPUT, TIME, Results, Run


def run(workload, allocator, seconds, kib=1000, **more):
    return Run(workload, allocator, 0, seconds, 1.0, kib, 5, 60, **more)


def results_of(rows, ours=("mine",), allocators=("base", "other", "mine")):
    """rows: {workload: [(seconds, kib) or None for each allocator]}; None is a failed run."""
    runs = [
        run(workload, name, *figures) if figures else Run(workload, name, 0, error="killed")
        for workload, row in rows.items()
        for name, figures in zip(allocators, row)
    ]
    return Results(runs, list(rows), list(allocators), "base", list(ours))


class StandingTest(unittest.TestCase):
    def test_the_best_peer_is_another_in_each_row_and_figure(self):
        results = results_of(
            {"lifo": [(4, 100), (2, 400), (3, 150)], "tree": [(1, 100), (2, 50), (1, 100)]}
        )
        self.assertEqual(peers.standing(results, "mine", TIME, "lifo"), Standing("other", 1.5))
        self.assertEqual(peers.standing(results, "mine", MEMORY, "lifo"), Standing("base", 1.5))
        self.assertEqual(peers.standing(results, "mine", TIME, "tree"), Standing("base", 1))
        self.assertEqual(peers.standing(results, "mine", MEMORY, "tree"), Standing("other", 2))

    def test_of_throughput_more_is_better(self):
        results = results_of({"lifo": [(4, 1), (2, 1), (1, 1)]})
        self.assertEqual(peers.standing(results, "mine", THROUGHPUT, "lifo"), Standing("other", 2))

    def test_our_other_builds_are_no_peers(self):
        rows = {"lifo": [(4, 100), (1, 50), (2, 100)]}
        results = results_of(rows, ours=["other", "mine"])
        self.assertEqual(peers.standing(results, "mine", TIME, "lifo"), Standing("base", 0.5))
        self.assertEqual(peers.standing(results, "other", TIME, "lifo"), Standing("base", 0.25))

    def test_a_failed_peer_is_not_the_best(self):
        results = results_of({"lifo": [(4, 1), None, (2, 1)], "tree": [(1, 1), (1, 1), None]})
        self.assertEqual(peers.standing(results, "mine", TIME, "lifo"), Standing("base", 0.5))
        self.assertIsNone(peers.standing(results, "mine", TIME, "tree"))
        self.assertIsNone(peers.standing(results, "mine", TIME, "absent"))

    def test_ours_by_name_and_by_list(self):
        names = ["glibc", "elasticpool", "elasticpool-old", "trial"]
        self.assertEqual(peers.ours_among(names, []), ["elasticpool", "elasticpool-old"])
        self.assertEqual(peers.ours_among(names, ["trial"]), names[1:])

    def test_behind_is_over_the_limit_only(self):
        results = results_of(
            {
                "at": [(100, 100), (200, 200), (105, 115)],
                "over": [(100, 100), (200, 200), (106, 116)],
                "ahead": [(100, 100), (200, 200), (50, 50)],
            }
        )
        for kind, value in ((TIME, 1.06), (MEMORY, 1.16)):
            behind = peers.rows_behind(results, "mine", kind)
            self.assertEqual(behind, [("over", Standing("base", value))])
        self.assertEqual(peers.rows_behind(results, "mine", CPU_TIME), [])


class MeanTest(unittest.TestCase):
    # Without the row that "other" failed, it is the fastest; "base" would be over all of its rows.
    ROWS = {
        "lifo": [(4, 100), (2, 300), (3, 100)],
        "tree": [(4, 100), (2, 300), (3, 400)],
        "huge": [(4, 100), None, (1, 100)],
    }

    def test_means_are_over_the_same_rows(self):
        results = results_of(self.ROWS)
        self.assertEqual(results.shared_workloads(TIME), ["lifo", "tree"])
        self.assertAlmostEqual(results.shared_mean("mine", TIME), 0.75)
        self.assertAlmostEqual(results.mean("mine", TIME), (0.75 * 0.75 * 0.25) ** (1 / 3))
        place = peers.mean_standing(results, "mine", TIME)
        self.assertEqual(place.peer, "other")
        self.assertAlmostEqual(place.ratio, 1.5)
        place = peers.mean_standing(results, "mine", MEMORY)
        self.assertEqual(place.peer, "base")
        self.assertAlmostEqual(place.ratio, 2)

    def test_no_row_that_all_got_through(self):
        results = results_of({"huge": [(4, 100), None, (1, 100)]})
        self.assertIsNone(peers.mean_standing(results, "mine", TIME))
        self.assertIn("no row that all got through", table.format_all(results, [TIME])[-1])

    def test_json(self):
        results = results_of(self.ROWS)
        document = peers.as_json(results, {"time": TIME})["ours_to_best_peer"]["mine"]["time"]
        self.assertEqual(document["rows"]["lifo"], {"peer": "other", "ratio": 1.5})
        self.assertEqual(document["behind"], ["lifo", "tree"])
        self.assertAlmostEqual(document["mean"]["ratio"], 1.5)
        whole = results.as_json()
        self.assertEqual(whole["shared_workloads"], ["lifo", "tree"])
        self.assertAlmostEqual(whole["shared_geometric_means"]["mine"]["rss_ratio"], 2)
        alone = results_of({"lifo": [(1, 1)]}, allocators=["mine"])
        self.assertEqual(peers.as_json(alone, {"time": TIME}), {"ours_to_best_peer": {}})


class PeerTableTest(unittest.TestCase):
    def test_a_row_behind_is_marked_and_listed(self):
        results = results_of(
            {"lifo": [(4, 100), (2, 400), (3, 100)], "tree": [(2, 100), (4, 50), (2, 100)]}
        )
        lines = table.format_table(results, TIME)
        self.assertTrue(lines[1].endswith("   mine / best peer"), lines[1])
        self.assertTrue(lines[3].endswith("        other   1.50!"), lines[3])
        self.assertTrue(lines[4].endswith("         base   1.00"), lines[4])
        self.assertEqual(
            table.format_all(results, [CPU_TIME, TIME, MEMORY])[-4:],
            [
                "! rows behind: mine, time, over 1.05 x the best peer: lifo (1.50 other)",
                "! rows behind: mine, memory, over 1.15 x the best peer: tree (2.00 other)",
                "mine / fastest peer's mean time: 0.87 (base, over 2 of 2 rows)",
                "mine / leanest peer's mean memory: 1.00 (base, over 2 of 2 rows)",
            ],
        )
        self.assertNotIn("peer", "\n".join(table.format_all(results, [CPU_TIME, THROUGHPUT])))

    def test_no_row_behind(self):
        lines = table.format_all(results_of({"lifo": [(4, 100), (2, 400), (1, 100)]}), [TIME])
        self.assertEqual(lines[-2], "! rows behind: mine, time, over 1.05 x the best peer: none")

    def test_the_mean_over_the_same_rows_has_a_line_where_one_failed(self):
        lines = table.format_table(results_of(MeanTest.ROWS), TIME)
        self.assertIn("(2 of 3) 0.50", lines[-2])
        expected = ["over the 2 of 3 that all got through", "1.00", "0.50", "0.75"]
        self.assertEqual([word for word in lines[-1].split("  ") if word.strip()][0], expected[0])
        self.assertEqual(lines[-1].split()[-3:], expected[1:])
        self.assertTrue(lines[-3].startswith("----"))
        self.assertIn("huge", lines[-4])

    def test_without_peers_there_is_no_column(self):
        for ours in ([], ["base", "other", "mine"]):
            results = results_of({"lifo": [(1, 1), (1, 1), (9, 9)]}, ours=ours)
            self.assertNotIn("peer", "\n".join(table.format_all(results, [TIME, MEMORY])))


if __name__ == "__main__":
    unittest.main()
