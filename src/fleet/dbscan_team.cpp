#include "hdap/fleet/dbscan_team.hpp"

#include "hdap/core/memory.hpp"

#include <vector>

namespace hdap::fleet {
namespace {

/// What the root asks the others for; nothing more without points.
struct Task {
    std::size_t points = 0;
    std::size_t dimension = 0;
    double eps = 0.0;
    std::int64_t min_points = 0;
};

Task broadcast(const parallel::Communicator& ranks, Task task) {
    std::vector<Task> one{task};
    ranks.broadcast(one);
    return one.front();
}

/// Ranks of a node share its memory.
bool every_rank_has_memory(const parallel::Communicator& ranks, const Task& task) {
    const auto of_node = static_cast<std::size_t>(ranks.node().size);
    const std::size_t needed = of_node * (task.points * task.dimension * sizeof(double) +
                                          dbscan_bytes(task.points, task.dimension));
    const auto available = core::available_memory();
    return !ranks.any(available && needed > *available);
}

} // namespace

DbscanTeam::~DbscanTeam() {
    if (ranks_.is_root() && ranks_.size() > 1) broadcast(ranks_, {});
}

FindDense DbscanTeam::dbscan(std::size_t fewest) const {
    return [this, fewest](PointView points, double eps, std::int64_t min_points) {
        return ranks_.size() > 1 && points.size() >= fewest
                   ? shared(points, eps, min_points)
                   : fleet::dbscan(points, eps, min_points);
    };
}

DbscanResult DbscanTeam::shared(PointView points, double eps, std::int64_t min_points) const {
    const Task task = broadcast(ranks_, {.points = points.size(),
                                         .dimension = points.dimension,
                                         .eps = eps,
                                         .min_points = min_points});
    if (!every_rank_has_memory(ranks_, task)) return fleet::dbscan(points, eps, min_points);
    std::vector<double> coordinates(points.coordinates.begin(), points.coordinates.end());
    ranks_.broadcast(coordinates);
    return fleet::dbscan(points, eps, min_points, ranks_);
}

void DbscanTeam::serve() const {
    while (true) {
        const Task task = broadcast(ranks_, {});
        if (task.points == 0) return;
        if (!every_rank_has_memory(ranks_, task)) continue;
        std::vector<double> coordinates;
        ranks_.broadcast(coordinates);
        fleet::dbscan({coordinates, task.dimension}, task.eps, task.min_points, ranks_);
    }
}

} // namespace hdap::fleet
