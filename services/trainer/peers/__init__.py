"""The peers every claim is measured against, fitted on one split and scored by one protocol.

ranks = peer_ranks(interactions, "ease")     # interactions whole: the last event of each user is the target
"""

from services.trainer.peers.linear import EasePeer
from services.trainer.peers.peers import PEERS, Peer, fit_peer, peer_ranks, peers_of

__all__ = ["PEERS", "EasePeer", "Peer", "fit_peer", "peer_ranks", "peers_of"]
