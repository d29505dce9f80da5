using System.Net.Sockets;
using RabbitMQ.Client;

namespace Serverless.Hosting.RabbitMq;

/// <summary>A connection that is read in large pieces: the client asks for four kilobytes at a time, which would be a system call each, fifty for a long prompt.</summary>
internal sealed class BufferedTcpClient(AddressFamily family) : TcpClientAdapter(new Socket(family, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true })
{
    /// <inheritdoc/>
    public override NetworkStream GetStream() => new BufferedStream(Client);

    /// <summary>One reader at a time, as with any stream.</summary>
    private sealed class BufferedStream(Socket socket) : NetworkStream(socket)
    {
        private const int BufferBytes = 64 * 1024;

        private readonly byte[] _buffer = new byte[BufferBytes];
        private ReadOnlyMemory<byte> _ahead;

        public override bool DataAvailable => !_ahead.IsEmpty || base.DataAvailable;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_ahead.IsEmpty)
            {
                if (buffer.Length is 0 or >= BufferBytes) return await base.ReadAsync(buffer, cancellationToken);
                _ahead = _buffer.AsMemory(0, await base.ReadAsync(_buffer, cancellationToken));
            }

            return Take(buffer.Span);
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(Span<byte> buffer) => _ahead.IsEmpty ? base.Read(buffer) : Take(buffer);

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        private int Take(Span<byte> buffer)
        {
            var count = Math.Min(buffer.Length, _ahead.Length);
            _ahead.Span[..count].CopyTo(buffer);
            _ahead = _ahead[count..];
            return count;
        }
    }
}
