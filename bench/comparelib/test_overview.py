"""Which points the picture of time x memory has, without drawing it."""

import unittest

from comparelib import overview, test_peers
from comparelib.test_peers import results_of


class PointsTest(unittest.TestCase):
    def test_points_are_means_over_the_same_rows(self):
        found = overview.points(results_of(test_peers.MeanTest.ROWS))
        self.assertEqual(list(found), ["base", "other", "mine"])
        self.assertEqual(found["base"], (1, 1))
        for value, expected in zip(found["mine"], (0.75, 2)):
            self.assertAlmostEqual(value, expected)

    def test_no_row_that_all_got_through(self):
        self.assertEqual(overview.points(results_of({"huge": [(4, 100), None, (1, 100)]})), {})

    def test_the_baseline_is_in_view(self):
        low, high = overview.limits([2, 4])
        self.assertTrue(low < 1 and high > 4)
        low, high = overview.limits([0.5])
        self.assertTrue(low < 0.5 and high > 1)


if __name__ == "__main__":
    unittest.main()
