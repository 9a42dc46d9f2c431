#include "hdap/cli/cli.hpp"

int main(int argc, char** argv) {
    return hdap::cli::run(argc, argv);
}
