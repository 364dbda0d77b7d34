"""Rows from hand-made reports: which process counts, what is marked, what is named."""

import json
import unittest

from comparelib import anatomy


def report(requests, served, peak, classes=()):
    mapped, live, most, cached = peak
    return json.dumps(
        {
            "requested": {"blocks": requests},
            "tiers": {
                "magazine": {"requests": requests, "served": served},
                "slab": {
                    "peak": {
                        "mapped_bytes": mapped << 20,
                        "live_bytes": live << 20,
                        "most_live_bytes": most << 20,
                        "cached_bytes": cached << 20,
                    }
                },
            },
            "page_faults": {"minor": 1234},
            "peak_resident_bytes": 300 << 20,
            "classes": [
                {"size": size, "requests": missed + 5, "served_by_magazine": 5}
                for size, missed in classes
            ],
        }
    )


class AnatomyTest(unittest.TestCase):
    def test_the_process_with_the_most_requests_counts(self):
        texts = [report(50, 1, (1, 0, 0, 0)), report(20_000, 19_800, (200, 190, 195, 2))]
        row = anatomy.from_reports("gcc", texts)
        self.assertEqual((row.processes, row.requests), (2, 20_000))
        self.assertAlmostEqual(row.served, 0.99)
        self.assertAlmostEqual(row.used, 0.95)
        self.assertAlmostEqual(row.most_used, 0.975)
        self.assertAlmostEqual(row.cached, 0.01)
        self.assertEqual(row.peak_rss_kib, 300 << 10)

    def test_rows_under_the_marks_are_named(self):
        good = anatomy.from_reports("good", [report(20_000, 19_000, (100, 90, 90, 0))])
        poor = anatomy.from_reports(
            "poor", [report(9_000, 8_000, (100, 80, 88, 5), [(64, 100), (16, 900), (32, 0)])]
        )
        lines = anatomy.format_all([good, poor])
        self.assertRegex(lines[2], r"^good +20 k +95.0 %  +100.0 MiB +90.0 % +90.0 %  +0.0 %")
        self.assertRegex(lines[3], r"^poor +9 k +88.9 %! +100.0 MiB +80.0 % +88.0 %! +5.0 %")
        text = "\n".join(lines[4:])
        self.assertIn("under 95% by magazine: 1 row\n", text)
        self.assertIn("poor 88.9 % (few requests): misses of 16 bytes 90%, 64 bytes 10%", text)
        self.assertIn("poor 88.0 %: 15.0 MiB free in slabs, 5.0 MiB in magazines", text)
        self.assertNotIn("good", text)

    def test_nothing_to_divide_by(self):
        row = anatomy.from_reports("true", [report(0, 0, (0, 0, 0, 0))])
        self.assertEqual((row.served, row.used), (None, None))
        self.assertIn("by magazine: none", "\n".join(anatomy.format_all([row])))

    def test_what_is_no_report(self):
        for texts in ([], ["{"], ["[]"], ['{"requested": {"blocks": 1}}']):
            with self.assertRaises(anatomy.NoReport, msg=texts):
                anatomy.from_reports("memcached", texts)


if __name__ == "__main__":
    unittest.main()
