"""Hashes, signatures, trees and commitments: pure functions over bytes."""
