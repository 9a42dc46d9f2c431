#include "hdap/search/hypervolume.hpp"

#include "hdap/core/check.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace hdap::search {

namespace {

/// Boxes with one corner in the origin: [count][m] side lengths, all positive. The hypervolume is
/// the volume of their union.
struct Boxes {
    std::size_t m;
    std::vector<double> sides;

    [[nodiscard]] std::size_t count() const { return sides.size() / m; }
    [[nodiscard]] std::span<const double> operator[](std::size_t i) const {
        return std::span(sides).subspan(i * m, m);
    }
    void add(std::span<const double> box) { sides.insert(sides.end(), box.begin(), box.end()); }
};

Boxes boxes_below(std::span<const double> points, std::span<const double> reference) {
    const std::size_t m = reference.size();
    Boxes boxes{m, {}};
    std::vector<double> box(m);
    for (std::size_t i = 0; i < points.size(); i += m) {
        bool below = true;
        for (std::size_t k = 0; k < m; ++k) {
            const double value = points[i + k];
            if (std::isnan(value) || value == -std::numeric_limits<double>::infinity()) {
                throw core::InternalError(
                    fmt::format("objective {} of point {} is {}, which has no hypervolume", k,
                                i / m, core::shortest(value)));
            }
            below = below && value < reference[k];
            box[k] = reference[k] - value;
        }
        if (below) boxes.add(box);
    }
    return boxes;
}

/// Longest last side first. Equal boxes are alike, so the order is one and the same for any order
/// of the points.
Boxes sorted_by_last(const Boxes& boxes) {
    std::vector<std::size_t> order(boxes.count());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
        return std::lexicographical_compare(boxes[b].rbegin(), boxes[b].rend(), boxes[a].rbegin(),
                                            boxes[a].rend());
    });
    Boxes sorted{boxes.m, {}};
    sorted.sides.reserve(boxes.sides.size());
    for (const std::size_t i : order)
        sorted.add(boxes[i]);
    return sorted;
}

double area_of_union(const Boxes& boxes) {
    const Boxes sorted = sorted_by_last(boxes);
    double area = 0;
    double width = 0;
    for (std::size_t i = 0; i < sorted.count(); ++i) {
        if (sorted[i][0] <= width) continue;
        area += (sorted[i][0] - width) * sorted[i][1];
        width = sorted[i][0];
    }
    return area;
}

/// The union of rectangles with one corner in the origin.
class Staircase {
  public:
    // Adds a rectangle and returns the area that only it covers.
    double add(double width, double height) {
        const auto right = std::ranges::lower_bound(corners_, width, {}, &Corner::width);
        if (right != corners_.end() && right->height >= height) return 0;
        const auto end = right != corners_.end() && right->width == width ? right + 1 : right;
        double gained = 0;
        double covered = end == corners_.end() ? 0 : end->height;
        double edge = width;
        auto begin = end;
        while (begin != corners_.begin() && (begin - 1)->height <= height) {
            --begin;
            gained += (edge - begin->width) * (height - covered);
            edge = begin->width;
            covered = begin->height;
        }
        const double left = begin == corners_.begin() ? 0 : (begin - 1)->width;
        gained += (edge - left) * (height - covered);
        HDAP_CHECK(begin == corners_.begin() || (begin - 1)->width < width, width, height);
        HDAP_CHECK(gained >= 0, gained, width, height);
        corners_.insert(corners_.erase(begin, end), Corner{width, height});
        return gained;
    }

  private:
    struct Corner {
        double width;
        double height;
    };
    std::vector<Corner> corners_; // wider and lower from one to the next
};

double volume_of_union(const Boxes& boxes) {
    const Boxes sorted = sorted_by_last(boxes);
    Staircase slice;
    double area = 0;
    double volume = 0;
    for (std::size_t i = 0; i < sorted.count(); ++i) {
        area += slice.add(sorted[i][0], sorted[i][1]);
        const double next = i + 1 < sorted.count() ? sorted[i + 1][2] : 0.0;
        volume += area * (sorted[i][2] - next);
    }
    return volume;
}

/// Whether `inner` lies within `outer`.
bool contains(std::span<const double> outer, std::span<const double> inner) {
    return std::equal(outer.begin(), outer.end(), inner.begin(), std::greater_equal<>{});
}

/// Adds `box`, unless another contains it, and drops those that it contains.
void add_maximal(Boxes& maximal, std::span<const double> box) {
    const std::size_t m = maximal.m;
    for (std::size_t i = 0; i < maximal.count(); ++i)
        if (contains(maximal[i], box)) return;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < maximal.count(); ++i) {
        if (contains(box, maximal[i])) continue;
        std::ranges::copy(maximal[i],
                          maximal.sides.begin() + static_cast<std::ptrdiff_t>(kept * m));
        ++kept;
    }
    maximal.sides.resize(kept * m);
    maximal.add(box);
}

double union_of_boxes(const Boxes& boxes);

/// The volume of box `i` of `sorted` that no earlier box covers. The last side of box `i` is the
/// shortest so far, so all overlaps share it and the problem has one dimension less.
double exclusive_volume(const Boxes& sorted, std::size_t i) {
    const std::size_t m = sorted.m - 1;
    const std::span<const double> box = sorted[i];
    Boxes overlaps{m, {}};
    std::vector<double> overlap(m);
    for (std::size_t j = 0; j < i; ++j) {
        std::ranges::transform(sorted[j].first(m), box.first(m), overlap.begin(),
                               [](double a, double b) { return std::min(a, b); });
        add_maximal(overlaps, overlap);
    }
    double whole = 1;
    for (const double side : box.first(m))
        whole *= side;
    return box[m] * (whole - union_of_boxes(overlaps));
}

double union_of_boxes(const Boxes& boxes) {
    if (boxes.m == 1) return boxes.sides.empty() ? 0.0 : std::ranges::max(boxes.sides);
    if (boxes.m == 2) return area_of_union(boxes);
    if (boxes.m == 3) return volume_of_union(boxes);
    const Boxes sorted = sorted_by_last(boxes);
    double volume = 0;
    for (std::size_t i = 0; i < sorted.count(); ++i)
        volume += exclusive_volume(sorted, i);
    return volume;
}

} // namespace

double hypervolume(std::span<const double> points, std::size_t m,
                   std::span<const double> reference) {
    if (m == 0 || points.size() % m != 0 || reference.size() != m) {
        throw core::InternalError(
            fmt::format("{} objective values and {} of the reference are not rows of {}",
                        points.size(), reference.size(), m));
    }
    if (!std::ranges::all_of(reference, [](double x) { return std::isfinite(x); }))
        throw core::InternalError("a reference of a hypervolume is not finite");
    return union_of_boxes(boxes_below(points, reference));
}

} // namespace hdap::search
