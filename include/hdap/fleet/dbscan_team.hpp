#pragma once

#include "hdap/fleet/dbscan.hpp"
#include "hdap/parallel/communicator.hpp"

#include <cstddef>
#include <cstdint>

namespace hdap::fleet {

/// The ranks of a job that find clusters together for the root, which alone knows the fleet:
///
///     DbscanTeam team(ranks);
///     if (!ranks.is_root()) return team.serve();
///     cluster_devices(fleet, parameters, team.dbscan());
///
/// Labels are those of one rank.
class DbscanTeam {
  public:
    /// Fewer points are quicker found by the root than sent to others.
    static constexpr std::size_t fewest_shared = 100'000;

    /// `ranks` must outlive it.
    explicit DbscanTeam(const parallel::Communicator& ranks) : ranks_(ranks) {}
    /// On the root: lets the others go.
    ~DbscanTeam();
    DbscanTeam(const DbscanTeam&) = delete;
    DbscanTeam& operator=(const DbscanTeam&) = delete;

    /// On the root: DBSCAN with the help of those that serve, where there are `fewest` points and
    /// every rank has the memory for them (dbscan_bytes).
    [[nodiscard]] FindDense dbscan(std::size_t fewest = fewest_shared) const;

    /// On every other rank: helps until the root's team ends.
    void serve() const;

  private:
    [[nodiscard]] DbscanResult shared(PointView points, double eps, std::int64_t min_points) const;

    const parallel::Communicator& ranks_;
};

} // namespace hdap::fleet
