#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace hdap::fleet {

/// Points of a Euclidean space, row-major; the coordinates belong to someone else.
struct PointView {
    std::span<const double> coordinates; ///< [point][dimension], finite
    std::size_t dimension = 1;

    [[nodiscard]] std::size_t size() const noexcept { return coordinates.size() / dimension; }
    [[nodiscard]] const double* operator[](std::size_t i) const noexcept {
        return coordinates.data() + i * dimension;
    }
};

/// Squared distance, summed in the order of the dimensions. All searches compare this very number,
/// so that they agree to the last bit.
inline double squared_distance(const double* a, const double* b, std::size_t dimension) noexcept {
    double sum = 0.0;
    for (std::size_t d = 0; d < dimension; ++d)
        sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

/// A k-d tree (nanoflann) over points that stay as they are. Queries may run concurrently.
class NeighbourIndex {
  public:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    /// The coordinates must outlive the index. Complexity: O(n log n).
    explicit NeighbourIndex(PointView points);
    ~NeighbourIndex();
    NeighbourIndex(NeighbourIndex&&) noexcept;
    NeighbourIndex& operator=(NeighbourIndex&&) noexcept;

    /// The point nearest to `query` and no further than `radius` (infinity allowed); of equally
    /// near points the one with the lowest index; `none` when there is none.
    [[nodiscard]] std::size_t nearest(const double* query, double radius) const;

    /// Distance from `query` to its k-th nearest point, 1 ≤ k ≤ size.
    [[nodiscard]] double kth_distance(const double* query, std::size_t k) const;

  private:
    struct Tree;
    std::unique_ptr<Tree> tree_;
};

/// For every point, whether at least `count` points, itself included, lie within `radius` (bounds
/// included). Stops counting as soon as it knows, and counts regions that lie wholly inside without
/// looking at their points; so dense regions are cheap. Complexity: O(n (count + log n))
/// typically, parallel.
std::vector<std::uint8_t> has_neighbours(PointView points, double radius, std::size_t count);

/// Numbers the connected components of the graph that joins points at most `radius` apart.
/// Returns [point] → component; components are numbered in the order of their lowest points.
///
/// A search that spreads from point to point and takes every point it reaches out of a k-d tree.
/// The tree knows how many points are left below each node, so a region that was taken costs
/// nothing any more. That keeps it far from the quadratic cost of listing all neighbours in dense
/// regions. Complexity: O(n log n) typically, O(n) memory beside the coordinates.
std::vector<std::int32_t> radius_components(PointView points, double radius);

} // namespace hdap::fleet
